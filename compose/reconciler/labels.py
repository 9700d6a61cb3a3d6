"""Names of the labels that mark what belongs to a project.

Docker Compose's own (``com.docker.compose.*``, release 2.40.3), so that both tools can take over
each other's stacks, and Shoal's (``io.shoal.*``).
"""

from __future__ import annotations

from typing import Final

PREFIX: Final = "com.docker.compose."
PROJECT: Final = "com.docker.compose.project"
SERVICE: Final = "com.docker.compose.service"
VERSION: Final = "com.docker.compose.version"
CONFIG_HASH: Final = "com.docker.compose.config-hash"
NUMBER: Final = "com.docker.compose.container-number"
ONEOFF: Final = "com.docker.compose.oneoff"
SLUG: Final = "com.docker.compose.slug"
IMAGE: Final = "com.docker.compose.image"
DEPENDS_ON: Final = "com.docker.compose.depends_on"
WORKING_DIR: Final = "com.docker.compose.project.working_dir"
CONFIG_FILES: Final = "com.docker.compose.project.config_files"
ENVIRONMENT_FILE: Final = "com.docker.compose.project.environment_file"
REPLACE: Final = "com.docker.compose.replace"
NETWORK: Final = "com.docker.compose.network"
VOLUME: Final = "com.docker.compose.volume"
IMAGE_BUILDER: Final = "com.docker.compose.image.builder"

COMPOSE_VERSION: Final = "2.40.3"

SHOAL_CONFIG: Final = "io.shoal.config"
"""The service as it was hashed, so that a changed field can be named.

Packed (`pack_tree`), because lists of labels are often split at commas, of which JSON is full.
"""
