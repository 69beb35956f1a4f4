# `nix develop` has what sound packages offer; `nix develop .#full` also MinIO and Promtail, and with them every arrow that
# the host engine can prove.
{
  lib,
  ended,
  mkShell,
  rustPlatform,
  stdenv,
  tools,
}:
let
  shell =
    name: more:
    mkShell {
      inherit name;
      packages =
        tools.rust
        ++ tools.cluster
        ++ tools.people
        ++ lib.optionals stdenv.hostPlatform.isLinux (tools.host ++ tools.manifests)
        ++ more;
      # Where rust-analyzer finds the standard library.
      env.RUST_SRC_PATH = "${rustPlatform.rustLibSrc}";
    };
in
{
  default = shell "lab" [ ];
}
// lib.optionalAttrs stdenv.hostPlatform.isLinux {
  full = shell "lab-full" [
    ended.minio
    ended.promtail
  ];
}
