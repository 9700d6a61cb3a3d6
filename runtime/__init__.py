"""The engine half: Docker Engine API in, namespaces, cgroups, mounts and netlink out.

Reading order: the process and its parts, the API, then builds, containers, images, networks and
the kernel. A module imports only from below (`pyproject.toml` holds the contracts). Nothing here
imports `compose`, and this file imports nothing, so that shims start light.

(root)
  __main__     ``python -m runtime``: the engine
  assembly     The parts of one engine, put together in the order in which they need each other
  config       Where an engine lives and what its defaults are
  daemon       The engine's process: options, locks, the parts put together, recovery, serving,
               the end
  doctor       The doctor: finds what an engine should not have left behind, and repairs it
  engine       `Engine`: the frozen record of the parts that API handlers may use
  errors       Errors of the engine, by kind and not by subsystem
  events       The event bus: every change of state is published once, after it is durable
  filters      The query language of ``filters=`` in the Docker Engine API
  host_checks  What a host must have before an engine can start; each lack is one line with its
               remedy
  id_map       Users and groups of containers as the host numbers them (man page
               user_namespaces(7))
  names        Ids and random names of containers, networks and volumes
  neighbours   Engines side by side: each is registered, and what dead ones left behind is taken
               away
  ownership    Who owns the directories of an engine: lock files, the process id, the boot they
               belong to
  record       Slotted records: what ``@dataclass(slots=True)`` gives, frozen or not, without
               compiling code
  store        The metadata database: SQLite in WAL mode, the only module that talks SQL
  systemd      What an engine says to systemd and takes from it: ``sd_listen_fds(3)`` and
               ``sd_notify(3)``
  userns_remap  The option ``userns-remap``: whose subordinate ids the containers get (man page
               subuid(5))
  volume_mounts  What the options of the ``local`` volume driver describe, mounted once while
                 containers use it
  volumes      Named volumes: the ``local`` driver of ``/volumes`` (Docker Engine API) below
               ``<root>/volumes``

api/
  builds         ``/build`` of the Docker Engine API: the classic builder
  call           What a handler gets and gives: `Call`, `Route`, and the usual answers
  containers     ``/containers`` of the Docker Engine API; the files of containers are in
                 `runtime.api.files`
  event_filter   Which events a client of ``GET /events`` wants (Docker Engine API, "Monitor
                 events")
  events         ``GET /events`` of the Docker Engine API
  execs          ``/exec`` and ``/containers/{id}/exec`` of the Docker Engine API
  extensions     What Docker's API does not have: ``/shoal/v1/...``
  field_table    Every field and query parameter that clients may send, and what becomes of it
  files          Files of containers: ``archive``, ``export``, ``changes`` (Docker Engine API,
                 "Container")
  host           Facts about the machine for ``GET /info`` and ``GET /version`` (Docker Engine
                 API)
  images         ``/images`` and ``/distribution`` of the Docker Engine API
  json_body      JSON bodies of requests: read whole, and refused in the words of the Docker Engine
  networks       ``/networks`` of the Docker Engine API
  registry_auth  Credentials in ``X-Registry-Auth`` and ``X-Registry-Config`` (Docker Engine API)
  router         From a request to its handler: the route table, versions, and errors as answers
  status         From a kind of error to an HTTP status, and to the body that clients read
  streams        Wire forms of streams: frames, JSON lines, progress records, raw connections of
                 attach
  swarm          Swarm and plugins: the answers of an engine that is in no swarm and has no
                 plugins
  system         ``/_ping``, ``/version``, ``/info``, ``/auth`` and ``/system/df`` of the Docker
                 Engine API
  times          Times in queries: Unix seconds with up to nine digits of a fraction (Docker
                 Engine API)
  volumes        ``/volumes`` of the Docker Engine API
  websocket      Attach by WebSocket (RFC 6455; ``GET /containers/{id}/attach/ws`` of the Docker
                 Engine API)

http_server/
  connection  One client of the server; the only place that parses HTTP (RFC 9112), with httptools
              (llhttp)
  listeners   Sockets to accept clients on: ``unix://``, ``tcp://``, and TCP with mutual TLS
              (``dockerd -H``)
  messages    What an application sees of HTTP: `Request`, its `Body` and `Hijack`, and `Response`
  pump        Raw streams of clients whose bytes must pass through the engine, because TLS is
              ended there
  server      `HttpServer`: accepts clients on any number of listening sockets and ends gracefully
  tls         TLS below a connection, with half-close

build/
  accounts      Users and groups of an image: ``/etc/passwd`` and ``/etc/group``, read inside its
                root
  builder       ``POST /build``: a Dockerfile and its context become an image
  cache         The build cache: results of steps by the digest of all that they depend on
  context       The build context: an uploaded tar, unpacked below the engine's own directory and
                thrown away
  copying       COPY and ADD: their words, where they read from, and the cache key of what they
                read
  dockerfile    From the text of a Dockerfile to instructions (Dockerfile reference, "Format")
  ignore        ``.dockerignore``: which paths of a build context are left out (Docker reference)
  instructions  One function per kind of Dockerfile instruction: what it does to a stage
  metadata      Instructions that change an image's configuration alone (Dockerfile reference)
  modes         File modes as COPY's ``--chmod`` writes them: octal, or symbolic as chmod(1) does
  options       What clients may choose for a build (Docker Engine API, ``POST /build``)
  runner        What the builder asks of the container half: run one command on a root file system
  source_tree   What COPY and ADD read from: a build context, the files of a stage or image,
                heredocs
  stages        Stages of a Dockerfile: their names, what they need of one another, which must be
                built
  step          What a stage has become after each step, and what steps share in one build
  task_runner   Runs build steps: a container without a record, on a root that the builder lends
  transfer      COPY and ADD: from a source tree into the root of a step, by descriptors only
  words         Words of a Dockerfile: quotes, escapes, ``$name``, ``${name...}`` (Dockerfile
                reference)
  workspace     Steps that make a layer: a writable directory on a stage's layers, and the cache
                before it

container/
  agent_plan        What the agent of a seccomp profile is told of a process whose calls it decides
  apparmor          AppArmor: whether the host has it, and the profile that containers get, as
                    Docker's is
  attach            Attaching clients to a task: the order, the handle, the language of detach
                    keys
  bundle            A task's directory below the run root: socket, exit record, netns link,
                    `config.json`
  bundle_mounts     The root of a container as ``<bundle>/rootfs``, where only who makes the
                    container sees it
  capability_set    Which capabilities a container gets: Docker's defaults, ``CapAdd``,
                    ``CapDrop``, ``Privileged``
  catalogue         All containers of an engine: look-up by id, prefix and name, and their rows in
                    the store
  cdi_spec          Files of the Container Device Interface: what vendors say a container needs
                    for their devices
  commit            ``POST /commit``: a container's file system becomes an image
  config            What a create request means: validation, and the defaults of image and engine
  console           The terminal of a container: opened inside, its master sent out by descriptor
  container         `Container`: the record of one container and its legal changes of state
  control           The engine's end of the conversation with one shim, on the event loop
  create            Create: a request becomes a container with its directory, volumes and row
  create_request    The body of ``POST /containers/create``: every field of Docker Engine API 1.51
  default_mounts    Mounts of a container as entries of the OCI runtime specification
  device_list       Devices of a container: nodes in its ``/dev`` and the access list of its
                    cgroup
  device_requests   ``HostConfig.DeviceRequests``: devices by CDI files; other drivers are not there
  directory_watch   Waiting for changes below directories: one inotify(7) descriptor on the event
                    loop
  document          Typed reading of JSON documents whose shape has been checked before
  ending            Ending: what happens when a container's process has ended, by itself or not
  exec              Exec sessions: processes started in a running container (``/exec`` of the
                    Docker Engine API)
  exec_session      `ExecSession`: the record of one exec, and what ``GET /exec/{id}/json`` shows
                    of it
  exit_record       How a task ended, as the shim writes it down for whichever engine comes later
  external_plan     The plan of a task that an external OCI runtime makes: its bundle in the
                    standard's own words
  external_runtime  A task made by an external OCI runtime (runc, crun ...): what the shim's helper
                    does for it
  failure           A step on the way to the program that failed, as init tells it to the shim
  file_view         The file system of a container as seen from outside, whether it runs or not
  filesystem        Files of a container for ``docker cp``, ``diff`` and ``export``
  health            Health: probes of a container and what follows from their results
                    (``Healthcheck``)
  hook_gate         Where init waits while hooks run outside: the helper that makes init runs them
  hook_plan         The section ``hooks`` of a runtime specification, compiled to the plan that shim
                    and init run
  hooks             Hooks: programs that a runtime specification wants to be run around a
                    container's life
  host              What this host lets an engine give its containers: capabilities, seccomp,
                    AppArmor, init
  identity          Who the program runs as: names looked up in the container's own ``passwd`` and
                    ``group``
  init              The container's first process: from the shim's fork to the program
  inspection        ``GET /containers/{id}/json``: the whole container as the Docker Engine shows
                    it
  launcher          The launcher: a small process that does nothing but fork shims
  launcher_process  The engine's side of the launcher: start it, have shims forked, start it again
                    when it died
  launcher_warmup   What the launcher does while it is idle for the first time, so that shims
                    share the pages
  lifecycle         `Containers`: everything the API does with containers, in one object
  limit_support     Which limits the cgroups of this host can set, and what is said when one is
                    dropped
  lending           What containers lend each other: namespaces, shared memory, and the variables
                    of legacy links
  limits            Resource limits of a create or update request: minimums, conflicts, and what
                    the host lacks
  link_environment  Variables of legacy links: what a container on the default bridge learns of
                    those it links to
  links             Legacy links (``HostConfig.Links``): the names by which a container knows others
  listing           ``GET /containers/json``: which containers, and one summary of each
  log_compress      Compressing rotated log files: the engine's part of a shim's rotation
  log_entry         Entries of a container's log, and the decoders of the two formats that shims
                    write
  log_files         The files of one log, oldest first, read forwards or from the end; blocking,
                    for a thread
  log_options       Log drivers and their options: what is refused when a container is created, in
                    Docker's words
  log_order         What shim and logger of a run are told about the log; problems are named as
                    Docker names them
  log_replay        A container's log for clients: ``GET /containers/{id}/logs``, and ``attach``
                    with ``logs=1``
  log_tag           Tags of log drivers: the option ``tag``, a template in Go's language
                    (``text/template``)
  logger            The logger: a process that brings one run's output to a remote log (`syslog`,
                    `journald`)
  logger_journald   Log driver `journald`: lines as entries of the system's journal, by its native
                    protocol
  logger_lines      Lines of output on their way to a remote log, made of what a shim read
  logger_process    The engine's side of loggers: start one before its run, and another one when it
                    died
  logger_syslog     Log driver `syslog`: lines as messages of RFC 3164 and RFC 5424, over any of
                    syslog's ways
  logger_tls        TLS for `syslog`: a connection to a server whose certificate is checked, in
                    Docker's words
  logs              Reading a container's log: last lines, a span of time, following over rotation
  messages          Messages between engine, launcher and shim, and the frames of a multiplexed
                    stream
  mount_sources     Sources of mount points: made or opened when a container starts, checked as
                    Docker checks them
  mount_points      Mount points of a container: what ``Binds``, ``Mounts``, ``VolumesFrom`` and
                    ``Volumes`` ask for
  network_request   What a container asks of the network half, out of its record
  namespace_maker   Makes a user namespace and a network namespace that belongs to it, for one
                    container
  networking        Networks as the API sees them: the controller, plus what a connect changes in
                    a container
  oom_watch         Kills for lack of memory, told while the container runs on: the event ``oom``
                    and ``OOMKilled``
  options           What clients may choose when they ask something of containers and execs
  overview          What the engine's inside knows for ``GET /info`` and ``GET /system/df``
  parts             `Parts`: what the verbs of containers work with, put together once by the
                    daemon
  path_stat         What ``docker cp`` learns of a path: the ``X-Docker-Container-Path-Stat`` of
                    ``archive``
  plan              A runtime specification compiled to the plan that shim and init carry out
  plan_types        Shape of the plan: what the engine compiled for one task, and the shim and
                    init carry out
  planning          From a container's record to the plan of its next run, and the descriptors
                    that go with it
  ports             Port specifications of the ``expose`` and ``publish`` filters of lists
  proc_files        What init writes into files of the container's procfs: labels of the program,
                    and sysctls
  program           The last steps before the program: streams, directory, rights, look-up, execve
  recovery          Recovery: what an engine finds when it starts, and what it makes of it
  remove            Remove: a container, its directory, and its anonymous volumes when that is
                    asked
  rename            ``POST /containers/{id}/rename``: another name, known to DNS as well
  resource_section  Limits of HostConfig as the ``linux.resources`` section of the OCI runtime
                    specification
  restart           Restart policies: whether and when an ended container starts again
  rlimits           Limits of a container's first process before its program runs: rlimits, and the
                    OOM score
  rootfs            The container's file system: mounts, devices, pivot, what is hidden and what
                    is read-only
  runtimes          Which OCI runtimes there are: the engine's own, configured ones, and well-known
                    ones on PATH
  scheduling_plan   Scheduling, execution domain and clocks of a specification, compiled for init
  seccomp_agent     The agent of a seccomp profile: it is sent the listener of a filter, and decides
                    calls
  seccomp_calls     The calls of the default seccomp policy: Docker Engine's default profile, as
                    data
  seccomp_document  The JSON of a seccomp profile, checked as Go's ``encoding/json`` would: with
                    Docker's words
  seccomp_profile   The default seccomp policy as data, and profiles given as text, made ready for
                    one container
  security_checks   Security settings that can be checked when a container is created
                    (``HostConfig``)
  security_options  ``HostConfig.SecurityOpt``: seccomp, AppArmor, SELinux labels, no-new-
                    privileges
  sessions          Attach: clients' connections on the streams of a container (``POST
                    /containers/{id}/attach``)
  shapes            Shapes of JSON values: they check a request's document and give it every
                    field's zero value
  shim              The shim: parent of one task's processes, owner of its streams, log, exit
                    record and descriptors
  shim_birth        The making of a task's first process, from the plan to execve, seen from the
                    shim
  shim_client       One attached client of a shim: its socket, its queue, its detach keys
  shim_control      The shim's end of the conversation with an engine: one connection, the newest
                    wins
  shim_hooks        The hooks of a container's end (`poststop`), run by the shim before it tells of
                    that end
  shim_keeper       The keeper: what a container's shim is while nothing happens, and parent of who
                    does its work
  shim_log          Logs of a task as its shim writes them: `json-file`, `local`, or what feeds a
                    logger
  shim_log_file     Files of a log: append whole records or nothing, rotate by size, swap in
                    compressed copies
  shim_loop         The shim's event loop: descriptors, handlers, and at most one deadline
  shim_streams      Standard streams of a task: pipes or a terminal, the log, and any number of
                    attached clients
  shim_task         One task in its shim: the state machine from the fork to the exit record
  shim_verbs        What an engine may ask of a shim: the verbs of the control socket
  signals           Signals by the names that clients use (``signal`` of stop and kill,
                    ``StopSignal``)
  spawners          Who makes the first process of a task: this engine's own runtime, or an
                    external one
  spec              What a create request means, as a runtime specification of the Open Container
                    Initiative
  spec_fields       Every field of ``config.json`` (OCI runtime specification): carried out, or
                    refused by name
  start             Start: a created or ended container gets a process
  start_errors      Why a program could not be started: Docker's exit code, status and text for
                    each cause
  stats             ``GET /containers/{id}/stats``: counters of cgroup and interfaces as Docker's
                    samples
  stop              Stop, kill, pause: signals to a container and what is durable about them
  sysctl_section    Kernel settings of a container: its defaults, and which of a request are its
                    own business
  task              Tasks: start one, find the living ones again
  task_handle       The engine's handle on one live task: what its shim says, and what it can be
                    asked
  timestamps        Times and durations as the Docker Engine writes them
  top               ``GET /containers/{id}/top``: the host's ``ps``, with the container's
                    processes only
  trash             Trash: directories that are renamed away at once and deleted later, by one
                    thread
  uninterrupted     Changes that go on to their end even when the client that asked for them has
                    gone
  update            ``POST /containers/{id}/update``: limits and restart policy, also of a running
                    container
  user_namespaces   User namespaces of containers (``userns-remap``): made by processes that the
                    launcher forks
  volume_content    The content of volumes as archives: export, import, and copies of one volume as
                    another
  waiting_attach    A client that attached to a container which does not run yet
  working_directory  The working directory of a container, made when it is created
                    (``WorkingDir``)

image/
  archive         Images in tar archives: load, save and import
  archive_reader  Reading an archive of images: docker-archive (any layout of paths) and OCI
                  image-layout
  archive_writer  Writing an archive of images: docker-archive and OCI image-layout at once, as
                  Docker 25 does
  bridge          Between the event loop and threads: streams in both directions, with bounded
                  memory
  compression     Compressed streams, recognised by their content: gzip (RFC 1952), bzip2, xz, zstd
                  (RFC 8878)
  content_store   Blobs by digest: configurations and manifests of images (OCI image-layout,
                  ``blobs/sha256``)
  image_store     Images by name: look-up, inspect, list, tag, history, and storing new ones
  image_view      Images as the Docker Engine API shows them: inspect, list, history
  images          `Images`: everything that the API does with images, in one object
  init_layer      The init layer: what the engine mounts over, made where an image lacks it
  layer_changes   What a container changed on its image (``docker diff``)
  layer_store     Committed layers on disk: ``<root>/snapshots/<64 hex of the chain id>/``
  layers          Unpacking: the entries of a tar become files below one directory, whatever the
                  tar says
  manifest        Manifests, indexes and configurations of images (OCI image spec, Docker's schema
                  2)
  options         What clients may choose when they list, pull or import images (``/images`` of
                  the API)
  patterns        Shell patterns as Go's ``path.Match`` knows them: ``*`` and ``?`` stop at a
                  slash
  recipe          Recipes: how to put a layer's tar together again, byte for byte, from its
                  unpacked files
  reference       Names of images: ``[domain[:port]/]path[:tag][@digest]`` (distribution reference
                  grammar)
  removal         Removing images: untag, delete, prune, and the collection of what nobody needs
                  any more
  snapshotter     Overlay snapshots: layers that never change, and one writable directory for each
                  container
  tar_reader      A tar stream as entries: ustar, PAX and GNU forms (POSIX pax, GNU tar manual)
  tar_writer      Writing tar: headers in ustar form, with a PAX header in front only where ustar
                  cannot say it
  times           Times as the Docker Engine API writes and reads them
  tree_tar        From a directory tree to a tar: layers (with whiteouts), exports, copies

network/
  allocation         What the container half and the network half tell each other: requests,
                     allocations, sandboxes
  allocator          Decides addresses, names and host ports of containers, inside the caller's
                     transaction
  book               The networks of an engine in memory, found by id, name or prefix of an id
  bridge             The bridge driver: one bridge a network, with the gateway's addresses
  bridge_options     The bridge driver's options: `com.docker.network.*`, read once and checked
  conntrack          Forgetting tracked connections: a UDP flow keeps its old destination until it
                     is flushed
  controller         Networks, and containers on them: the network half's interface to the rest of
                     the engine
  dns                The name server of containers: 127.0.0.11 in each namespace, answered by the
                     engine
  dns_answers        Answers to questions about containers; what is left goes to other name
                     servers
  dns_forwarder      Forwards questions that are not about containers to real name servers, as
                     bytes
  dns_wire           The DNS wire format, by dnspython: reading questions, writing answers
  dns_zone           Names of containers: who is called what, as seen from each container
  endpoint           One container on one network: a veth pair from the bridge into the
                     container's namespace
  endpoint_settings  What a user may set of one container on one network, and what follows from it
  fast_netlink       Route netlink by `struct`: the messages on the way of a starting container
  filter_watch       Notices when another program changes the packet filter, so that flushed rules
                     come back
  firewall           The engine's packet filter: masquerade, published ports, isolation of
                     networks
  foreign_firewalls  Living beside other firewalls: a drop in any table wins, whatever ours
                     accepts
  host_files         What containers take over from the host's /etc: its resolver and its hosts
                     file
  ipam               Address management: which subnet a network gets, and which address a
                     container
  kernel             Everything the network thread does: bridges, namespaces, packet filter, one
                     after the other
  listening          What listens in a process's network namespace, read from /proc
  netlink            Netlink's rare calls, by pyroute2; the only module that imports it
  networks           Making, listing and removing networks
  nft_expressions    The expressions of nftables rules: what a rule loads, compares, looks up and
                     does
  nftables           nftables over netlink by `struct`: one batch per change, all of it happens or
                     nothing
  port_bindings      What ports a container wants to have published, read from its create request
  port_mapper        Published ports on the host's side: each is held by a bound socket
  record             A network as it is stored and shown, and how a create request becomes one
  relay              Relays what arrives at a published port's socket instead of being led on by
                     the packet filter
  sandbox            A container's network namespace: made, entered and filled by the network
                     thread
  sandbox_files      The files /etc/hosts and /etc/resolv.conf of a container, byte for byte as
                     Docker's
  sandboxes          The networks of running containers: made, adopted, changed while they run,
                     and taken down
  vlan               The macvlan and ipvlan drivers: containers as machines on the network of a
                     host's interface

linux/
  bpf              The device filter of cgroup v2: an access list compiled to an eBPF program
  capabilities     Capabilities: names, the sets of a process (man page capabilities(7))
  cgroup_files     Reading and writing the small files of a cgroup directory
  cgroup_v1        cgroup v1: one hierarchy per controller (kernel: Documentation/admin-
                   guide/cgroup-v1)
  cgroup_v2        cgroup v2: one tree for all controllers (kernel: Documentation/admin-
                   guide/cgroup-v2.rst)
  cgroups          cgroups of either version behind one interface, and the detection of what the
                   host has
  devices          Device nodes and the links below ``/dev`` (OCI runtime specification, ``config-
                   linux.md``)
  excursion        Work in other namespaces without leaving one's own: in a thread that ends with
                   it
  file_owner       Making files for somebody else: the ids that the kernel takes for new files
                   (setfsuid(2))
  mounts           Mounts as detached descriptors: made, changed, and only then attached by
                   descriptor
  namespaces       Namespaces: kinds, joining by descriptor, id maps (man page namespaces(7))
  overlay          Overlay mounts as detached descriptors (kernel:
                   Documentation/filesystems/overlayfs.rst)
  paths            Paths inside a hostile root: every look-up stays below the root's descriptor
  process          Processes and what they hand each other: pidfds, descriptors over sockets,
                   sealed memory
  resources        Shapes of the resource section of the OCI runtime specification (``config-
                   linux.md``)
  sealed_program   A program file that nobody can write to, to be executed where hostile processes
                   may look
  seccomp          A seccomp policy compiled to classic BPF (kernel: ``userspace-
                   api/seccomp_filter.rst``)
  seccomp_verdicts  What a seccomp policy says of each system call number (kernel:
                   ``userspace-api/seccomp_filter``)
  syscall_numbers  Numbers of the system calls, by architecture (kernel: ``arch/*/syscall*.tbl``,
                   Linux 6.18)
  syscalls         System calls that Python lacks: one short function each, a failure becomes an
                   ``OSError``
  terminal         Window size of a terminal (man page ioctl_tty(2))
  trees            Directory trees by descriptor: size, copy, removal; no path is resolved through
                   a symbolic link
"""
