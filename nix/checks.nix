# What `nix flake check` builds: every package and every shell, and what must hold of the sources.
{
  lib,
  call,
  packages,
  shells,
  stdenv,
}:
let
  prefixed = prefix: lib.mapAttrs' (name: lib.nameValuePair "${prefix}-${name}");
in
prefixed "package" packages
// prefixed "shell" shells
// {
  actionlint = call ./checks/actionlint.nix;
  nixfmt = call ./checks/nixfmt.nix;
  versions = call ./checks/versions.nix;
}
// lib.optionalAttrs stdenv.hostPlatform.isLinux (
  call ./checks/rust.nix
  // {
    host-lab = call ./checks/host-lab.nix;
  }
)
