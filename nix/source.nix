# The parts of this repository that a derivation is built from, so that it is built again only when they change.
{ lib }:
let
  inherit (lib) fileset;

  select =
    files:
    fileset.toSource {
      root = ../.;
      fileset = fileset.unions files;
    };

  # The members' own tests and benches are part of their directories; those of `tests` would rebuild every program.
  workspace = [
    ../.cargo
    ../Cargo.lock
    ../Cargo.toml
    ../crates
    ../xtask
    ../tests/Cargo.toml
    ../tests/src
    # Compiled into the workload: the topology that it expects.
    ../manifests/rabbitmq/topology.json
    # And into the bill of materials: the versions of the programs beside the cluster.
    ./versions.json
  ];
in
{
  # What cargo makes the programs from.
  programs = select workspace;

  # And what lints and tests read beside it: the pages and the manifests are held by tests, too.
  tests = select (
    workspace
    ++ [
      ../ARCHITECTURE.md
      ../README.md
      ../clippy.toml
      ../deny.toml
      ../docs
      ../manifests
      ../tests
    ]
  );

  # What an installation carries beside its programs.
  manifests = select [ ../manifests ];
}
