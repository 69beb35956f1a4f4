# Programs of the workspace. Their tests are a check of their own, so that a test that fails keeps no program back.
{
  lib,
  rustPlatform,
  source,
}:
{
  pname,
  description,
  # The members of the workspace that they come from.
  members ? [ pname ],
}:
rustPlatform.buildRustPackage {
  inherit pname;
  inherit ((lib.importTOML ../Cargo.toml).workspace.package) version;

  src = source.programs;
  cargoLock.lockFile = ../Cargo.lock;
  cargoBuildFlags = lib.concatMap (member: [
    "--package"
    member
  ]) members;
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
