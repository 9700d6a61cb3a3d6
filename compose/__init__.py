"""The client half of Shoal: Compose files in, Docker Engine API calls out.

How ``shoal up`` runs, top to bottom: ``cli`` reads the command line and imports
``commands/up``, which asks ``context`` for the project (``loader/load``) and the engine
(``engine/client``); ``reconciler/observed`` looks once, ``reconciler/reconcile`` decides purely,
``reconciler/execute`` acts. Folders stand in the order of the data flow.

(root)
  __main__  ``python -m compose`` is ``shoal``
  cli       The command edge: reads the command line, runs a verb, turns errors into text and exit
              codes
  flags     Command lines as Docker's programs read them (the rules of Go's pflag)
  context   What every command gets: the console, the environment, the project and the engine, on
              demand
  session   Foreground ``up``: output of all containers, the first and second Ctrl-C, the end
  logs      Many containers' logs as one stream of lines with prefixes
  progress  Progress of a command: events, and the renderers that show them
  console   Everything that is written for the user: text, tables, colour, warnings, questions
  terminal  The user's terminal connected to a process in a container: raw mode, size, both
              directions
  graph     The order of services, the circles in it, and the choice of some services with what
              they need
  reachability  Who reaches whom: containers, their networks, names, ports and listeners
  errors    Every failure the client half reports, as one tree of classes

commands/
  registry   The verbs: name, module, one line of help. A module is imported when its verb is used
  up         ``up``, ``create``, ``scale``: load, observe, reconcile, show or execute the plan
  down       ``down`` and ``rm``: take a project away
  lifecycle  ``start``, ``stop``, ``restart``, ``pause``, ``unpause``, ``kill``, ``wait``
  run        ``run``: a one-off container of a service, attached or in the background
  exec       ``exec``: run a command in a running container
  status     ``ps``, ``ls``, ``top``, ``port``, ``volumes``: what is there. No event loop is
               needed here
  logs       ``logs`` and ``events``
  build      ``build``: images of services by the engine's classic builder, several at once
  images     ``images``, ``pull``, ``push``
  config     ``config``: check the files and print what they mean
  cp         ``cp``: files between a service's containers and this machine, as tar archives
  docker     ``docker``: commands of the docker command line that have another meaning in
             Compose
  engine     ``engine``: Shoal's own engine, started, stopped, described, installed, mended
  image      ``image pack``: make an image of programs that are installed on this machine
  network    ``network map`` and ``network trace``: who reaches whom, and what stops a connection
  ui         ``ui``: the dashboard. Textual is imported here and nowhere before
  version    ``version``: of Shoal, and what it announces to be compatible with
  volume     ``volume export``, ``import`` and ``clone``: the content of volumes as archives and
             copies
  why        ``why``: why a container is in its state, out of all that the engine tells about
             it

docker/
  dispatch         The docker commands that there are, and running one of them
  run              ``docker run`` and ``docker create``: a new container, started and attached if
                   asked
  exec             ``docker exec``: another process in a running container
  ps               ``docker ps``: a table of containers
  logs             ``docker logs``: what a container has written
  inspection       ``docker inspect``: the engine's documents of containers, images, networks and
                   volumes
  rm               ``docker rm``: remove containers
  container_flags  The flags that ``docker run`` and ``docker create`` share, and the request that
                   they make
  lists            Lists of a run command that come from flags and files: variables, labels, ports,
                   volumes
  values           Values of flags as the docker command line reads them: sizes, mounts, devices,
                   ulimits ...
  template         Go templates of ``--format`` in a first form: fields, ``json``, ``index``,
                   ``len``, and words
  failures         Errors of docker commands as the docker command line words them, with its exit
                   codes

reconciler/
  observed        One look at the engine: what of a project is there
  reconcile       What must be done so that the engine holds what the project says: a pure
                    decision
  draft           The plan of an ``up`` while it is being made: what the steps of `reconcile`
                    share
  replicas        The containers of one service: which stay, which are replaced, removed or made
  startup         The start of a project's containers: after everything is made, dependencies
                    first
  divergence      Why must this container, network or volume be made again? A cause in words, or
                    nothing
  teardown        Plans that take a project down: ``stop``, ``down``, ``rm``; dependants before
                    what they need
  from_labels     A project whose files are not at hand, rebuilt from what the engine's labels
                    tell
  notes           What of a project has no effect here: said once, instead of being dropped in
                    silence
  order           Walks along the edges between services: what is needed by some, what needs them
  plan            Operations and the plan they form: what will be done, why, and in which order
  execute         Carry a plan out: every operation as soon as those before it are done; no
                    decisions
  threads         Carry a plan out on threads with blocking connections
  operations      One coroutine for each kind of operation: an engine call or two, and the events
                    it reports
  register        Names, numbers and ids of containers while a plan is carried out
  waiting         Waiting for containers to run, to be healthy or to end
  hooks           ``post_start`` and ``pre_stop``: commands run inside a container, one after
                    another
  images          Images of a project: which to pull or build, and doing so
  diagnosis       More than the engine says about a failure: who holds a port, what an image lacks
  container_body  Service to the body of ``POST /containers/create``, as Docker Compose 2.40 sends
                    it
  host_config     Service to ``HostConfig``: limits, security, namespaces, devices, published
                    ports
  mounts          Service to mounts: binds, volumes, memory file systems, configs, secrets,
                    inherited volumes
  network_body    Networks and volumes to create bodies; a container's endpoint settings and names
  config_hash     The configuration hash of services, networks and volumes
  labels          Names of the labels that mark what belongs to a project
  describe        Observed containers as rows of a report: the words and JSON keys of ``docker
                    compose ps``

loader/
  load          Compose files to a ``Project``: the phases, in their order
  discover      Which compose files, which project directory and name, and the variables to fill
                  them with
  dotenv        The languages of ``.env`` and ``env_file``, and of ``format: raw``
  document      YAML text to trees whose entries know their line and column
  tree          The tree a compose file is while it is loaded: plain values that know where they
                  stand
  interpolate   ``${VAR:-default}`` substitution in all string values, and the casts that go with
                  it
  extends       ``extends``: a service that begins as a copy of another one, perhaps of another
                  file
  include       ``include``: other compose files as models of their own, copied into this one
  merge         How a later file, document or service changes an earlier one
  collapse      Lists in which a later entry redefines an earlier one: same port, mount point,
                  variable
  schema        The check of a merged tree against the Compose schema, and what to say when it
                  fails
  structure     A yes-or-no check of a tree against a JSON Schema, for the common case that
                  nothing is wrong
  canonical     Short forms to long forms, so that later phases know one form of each attribute
  normalize     What a file means without saying so: defaults, the default network, names, implied
                  order
  paths         Relative paths of a tree to absolute ones
  consistency   Rules between the parts of a finished project that the schema cannot say
  checks        Rules of single sections that hold for every tree, also for included files
  decode        A canonical tree to the records of ``compose.model``
  values        One decoder for each kind of value: a node of a canonical tree in, a value of the
                  model out
  env_files     ``env_file`` and ``label_file`` of a service, merged into its environment and
                  labels
  command_line  A command written as one string, split into words like a shell does, without
                  expansion
  excerpt       The lines of a file around a mistake, with a caret below it
  mounts        The short forms ``SOURCE:TARGET:OPTIONS`` of volumes and devices
  ports         The short form ``[HOST_IP:][PUBLISHED:]TARGET[/PROTOCOL]`` of ports, with ranges
  render        Documents to the text of ``config``: YAML or JSON in the style of Docker Compose
  variables     Which variables the files of a project ask for: what ``config --variables`` lists

engine/
  client           `EngineClient`: one typed coroutine per endpoint of the Docker Engine API that
                     is used
  calls            The base of the typed calls: query strings, JSON bodies and answers over a
                     `Transport`
  containers       Typed calls for ``/containers`` and ``/exec``
  resources        Typed calls for ``/images``, ``/build``, ``/networks`` and ``/volumes``
  stream           Decoders of the engine's streams: frames of attach and logs, JSON lines of
                     events and progress
  transport        HTTP/1.1 to an engine: keep-alive connections, streamed bodies, upgrades,
                     errors by kind
  connection       A byte stream to an engine, and the plain kind that blocks
  loop_connection  A byte stream to an engine on the asyncio event loop
  address          Where an engine listens: Docker's host URLs (``unix://``, ``tcp://``,
                     ``http://``, ``https://``)
  contexts         Which engine a command talks to
  launch           Shoal's own engine as a process: start it when nothing answers, stop it, say
                     how it is
  service          Shoal's engine as systemd units: their text, and putting them in place
  build_context    A build context as a tar stream, without what ``.dockerignore`` excludes
  wire             JSON bodies of the Docker Engine API 1.51 as the client reads and writes them;
                     no behaviour

model/
  project    A project: the services of one or more Compose files and what they need
  service    A service: everything that decides how its containers look and behave
  build      How a service's image is built, and what happens to it while its sources are edited
  deploy     The ``deploy`` section: replicas, resources, restart policy, and what only a swarm
               reads
  resources  Top-level networks, volumes, configs, secrets and models of a project
  units      Sizes, durations, file modes and CPU counts: numbers that know how Docker writes them
  record     Immutable, slotted records: what ``@dataclass(frozen=True, slots=True,
               kw_only=True)`` gives
  document   Records to the documents that ``docker compose config`` prints, and that its hashes
               are made of

tui/
  app            The Textual application of ``shoal ui``: one screen, one worker that follows the
                   engine
  dashboard      The main screen: projects and services above, the log of what is selected below
  feeds          What fills the dashboard: the engine's events, checked by a list, and the logs of
                   containers
  log_pane       Widget: the log of the selected services, followed; each container in a colour of
                   its own
  service_table  Widget: projects and their services with state, health and ports, kept in place
                   by key
  store          The dashboard's state as a pure value: containers by project and service, and the
                   connection

pack/
  image         Pack programs of this machine into an image: the steps of ``shoal image pack``, in
                  order
  archive       A file tree as a docker-archive with one layer; the same tree gives the same bytes
  elf           What an ELF file says of the libraries that it needs (System V ABI; ld.so(8))
  libraries     The shared libraries of programs, found as the dynamic loader finds them
                  (ld.so(8))
  programs      From the name of a program to the files that it is made of, without its shared
                  libraries
  system_files  What programs expect to find beside them in a root file system
  tree          A file tree that is assembled from files of this machine and files of our own
"""

__version__ = "0.1.0"
