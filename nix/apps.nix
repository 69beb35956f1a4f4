# `nix run .#bootstrap` and `nix run .#verify`; everything else is `nix run . -- COMMAND`.
{
  lib,
  packages,
  writeShellApplication,
}:
lib.genAttrs
  [
    "bootstrap"
    "verify"
  ]
  (
    command:
    let
      script = writeShellApplication {
        name = "lab-${command}";
        text = ''
          exec ${lib.getExe packages.xtask} ${command} "$@"
        '';
      };
    in
    {
      type = "app";
      program = lib.getExe script;
      meta.description = "lab ${command}";
    }
  )
