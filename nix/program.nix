# A program of the workspace. Its tests are a check of their own, so that one that fails keeps no program back.
#
# Each is built by a cargo of its own: built together, the command line would share its HTTP client with the cluster engine's,
# which has TLS and asks for cryptography to be named.
{
  lib,
  rustPlatform,
  source,
}:
{
  pname,
  description,
  # The member of the workspace that it comes from.
  member ? pname,
}:
rustPlatform.buildRustPackage {
  inherit pname;
  inherit ((lib.importTOML ../Cargo.toml).workspace.package) version;

  src = source.programs;
  cargoLock.lockFile = ../Cargo.lock;
  cargoBuildFlags = [
    "--package"
    member
  ];
  doCheck = false;

  # Profiles name functions by the line tables that the release profile keeps for the workspace's own code.
  dontStrip = true;

  meta = {
    inherit description;
    license = lib.licenses.asl20;
    platforms = lib.platforms.linux;
    mainProgram = pname;
  };
}
