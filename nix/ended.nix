# The two systems whose upstreams ended (README, "Upstreams that ended"): no default output depends on them.
{
  lib,
  callPackage,
  nixpkgs,
  stdenv,
}:
let
  versions = lib.importJSON ./versions.json;
in
{
  # nixpkgs marks MinIO as insecure, and such a package cannot be evaluated at all. The exception is for this version, and
  # this instance of nixpkgs has nothing else taken from it. The lab's MinIO listens on loopback or behind a network policy.
  inherit
    (import nixpkgs {
      inherit (stdenv.hostPlatform) system;
      config.permittedInsecurePackages = [ "minio-${versions.minio.pin}" ];
    })
    minio
    ;

  # nixpkgs removed Promtail at its end of life.
  promtail = callPackage ./promtail.nix { };
}
