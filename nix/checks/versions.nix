# Holds versions.json against both sides: what nixpkgs has at the pin, and what this repository says. Where they differ, the
# row tells why, so that neither a new flake.lock nor a new image moves a version unseen. A row has
#
#   pin   what the version in nixpkgs begins with: as many parts of it as must not change unseen
#   lab   the version that this repository names
#   file  where it names it
#   skew  why `lab` does not begin with `pin`; no row has it without need
#
# It fails while it is evaluated, so `nix flake check --no-build --all-systems` holds it everywhere.
{
  lib,
  ended,
  pkgs,
  runCommand,
}:
let
  beginsWith = part: version: version == part || lib.hasPrefix "${part}." version;

  problemsOf =
    name: row:
    let
      version = (ended.${name} or pkgs.${name}).version;
      agree = beginsWith row.pin row.lab;
    in
    lib.optional (
      !beginsWith row.pin version
    ) "${name} is ${version} in nixpkgs, and not ${row.pin} as the table says"
    ++ lib.optional (
      !lib.hasInfix row.lab (builtins.readFile (../.. + "/${row.file}"))
    ) "${row.file} does not name ${name} ${row.lab}, as the table says"
    ++ lib.optional (
      !agree && !row ? skew
    ) "${name} is ${row.pin} in nixpkgs and ${row.lab} in ${row.file}, and no reason is given (`skew`)"
    ++ lib.optional (
      agree && row ? skew
    ) "${name} is ${row.pin} on both sides, and a reason is given for a difference (`skew`)";

  problems = lib.concatLists (lib.mapAttrsToList problemsOf (lib.importJSON ../versions.json));
in
lib.throwIf (problems != [ ]) (lib.concatStringsSep "\n" (
  [ "nix/versions.json is not what is there:" ] ++ problems
)) (runCommand "lab-versions" { } "touch $out")
