"""Typed calls for ``/images``, ``/build``, ``/networks`` and ``/volumes``."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from compose.engine.calls import Calls, filters_text, image_path, segment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from compose.engine import wire
    from compose.engine.calls import Filters, Query
    from compose.engine.transport import Body


class ImageCalls(Calls):
    """Images and the classic builder."""

    async def list_images(self, filters: Filters | None = None) -> list[wire.ImageSummary]:
        """``GET /images/json``."""
        answer = await self.get("/images/json", {"filters": filters_text(filters)})
        return cast("list[wire.ImageSummary]", answer or [])

    async def inspect_image(self, name: str) -> wire.ImageInspect:
        """``GET /images/{name}/json``."""
        return cast("wire.ImageInspect", await self.get(f"/images/{image_path(name)}/json"))

    async def remove_image(self, name: str, *, force: bool = False) -> None:
        """``DELETE /images/{name}``."""
        await self.ask("DELETE", f"/images/{image_path(name)}", {"force": force})

    def pull_image(
        self, name: str, tag: str, *, platform: str = "", auth: str = ""
    ) -> AsyncIterator[dict[str, object]]:
        """``POST /images/create``: progress objects; an error may come as the last one."""
        query = {"fromImage": name, "tag": tag, "platform": platform}
        return self.stream(
            "POST", "/images/create", query, headers={"X-Registry-Auth": auth} if auth else None
        )

    def push_image(
        self, name: str, tag: str, *, auth: str = "e30="
    ) -> AsyncIterator[dict[str, object]]:
        """``POST /images/{name}/push``: progress objects."""
        path = f"/images/{image_path(name)}/push"
        return self.stream("POST", path, {"tag": tag}, headers={"X-Registry-Auth": auth})

    def load_image(self, archive: Body) -> AsyncIterator[dict[str, object]]:
        """``POST /images/load``: progress objects; an error may come as the last one."""
        headers = {"Content-Type": "application/x-tar"}
        return self.stream("POST", "/images/load", {"quiet": True}, body=archive, headers=headers)

    def build_image(
        self, query: Query, context: Body, *, registry_config: str = ""
    ) -> AsyncIterator[dict[str, object]]:
        """``POST /build``: build a context with the classic builder."""
        headers = {"Content-Type": "application/x-tar"}
        if registry_config:
            headers["X-Registry-Config"] = registry_config
        return self.stream("POST", "/build", query, body=context, headers=headers)


class NetworkCalls(Calls):
    """Networks."""

    async def list_networks(self, filters: Filters | None = None) -> list[wire.NetworkInspect]:
        """``GET /networks``."""
        answer = await self.get("/networks", {"filters": filters_text(filters)})
        return cast("list[wire.NetworkInspect]", answer or [])

    async def inspect_network(self, ref: str) -> wire.NetworkInspect:
        """``GET /networks/{id}``."""
        return cast("wire.NetworkInspect", await self.get(f"/networks/{segment(ref)}"))

    async def create_network(self, body: wire.JsonObject) -> str:
        """``POST /networks/create``; returns the id."""
        answer = await self.ask("POST", "/networks/create", None, body)
        return cast("dict[str, str]", answer)["Id"]

    async def remove_network(self, ref: str) -> None:
        """``DELETE /networks/{id}``."""
        await self.ask("DELETE", f"/networks/{segment(ref)}")

    async def connect_network(
        self, ref: str, container: str, endpoint: wire.EndpointSettings
    ) -> None:
        """``POST /networks/{id}/connect``."""
        body = {"Container": container, "EndpointConfig": endpoint}
        await self.ask("POST", f"/networks/{segment(ref)}/connect", None, body)

    async def disconnect_network(self, ref: str, container: str, *, force: bool = False) -> None:
        """``POST /networks/{id}/disconnect``."""
        body = {"Container": container, "Force": force}
        await self.ask("POST", f"/networks/{segment(ref)}/disconnect", None, body)


class VolumeCalls(Calls):
    """Volumes."""

    async def list_volumes(self, filters: Filters | None = None) -> list[wire.VolumeInspect]:
        """``GET /volumes``."""
        answer = await self.get("/volumes", {"filters": filters_text(filters)})
        return cast("wire.VolumeList", answer).get("Volumes") or []

    async def inspect_volume(self, name: str) -> wire.VolumeInspect:
        """``GET /volumes/{name}``."""
        return cast("wire.VolumeInspect", await self.get(f"/volumes/{segment(name)}"))

    async def create_volume(self, body: wire.JsonObject) -> wire.VolumeInspect:
        """``POST /volumes/create``."""
        return cast("wire.VolumeInspect", await self.ask("POST", "/volumes/create", None, body))

    async def remove_volume(self, name: str, *, force: bool = False) -> None:
        """``DELETE /volumes/{name}``."""
        await self.ask("DELETE", f"/volumes/{segment(name)}", {"force": force})

    async def export_volume(self, name: str) -> AsyncIterator[bytes]:
        """``GET /shoal/v1/volumes/{name}/content``: a volume's content as tar."""
        async with self.open("GET", f"/shoal/v1/volumes/{segment(name)}/content") as response:
            async for piece in response.chunks():
                yield piece

    async def import_volume(self, name: str, archive: Body, *, replace: bool) -> None:
        """``PUT /shoal/v1/volumes/{name}/content``: fill a volume from a tar."""
        path = f"/shoal/v1/volumes/{segment(name)}/content"
        headers = {"Content-Type": "application/x-tar"}
        query: Query = {"replace": replace}
        async with self.open("PUT", path, query, body=archive, headers=headers) as response:
            await response.body()

    async def clone_volume(self, name: str, target: str, *, replace: bool) -> None:
        """``POST /shoal/v1/volumes/{name}/clone``: copy a volume's content into another one."""
        path = f"/shoal/v1/volumes/{segment(name)}/clone"
        await self.ask("POST", path, {"to": target, "replace": replace})
