# What it takes to use, change and rebuild the lab where there is no network:
#
#     nix copy --to file:///media/lab .#airgap                      # here
#     nix build --option substituters file:///media/lab --option require-sigs false .   # there, in a clone
#
# `nix copy` follows references, so all of it is named here: the sources of this flake and of nixpkgs, which Nix takes from
# there too; what is built; and what it is built from, by each derivation's `inputDerivation`.
#
# It does not carry the images that the manifests name in other people's registries: a build has no network, and what is
# fetched from a registry has no hash that Nix could know beforehand. `lab bundle create` puts those into one file, which
# `lab bootstrap --bundle FILE` reads.
{
  lib,
  linkFarm,
  nixpkgs,
  packages,
  self,
  shells,
}:
let
  inputs =
    prefix: lib.mapAttrs' (name: made: lib.nameValuePair "${prefix}/${name}" made.inputDerivation);
  built = prefix: lib.mapAttrs' (name: made: lib.nameValuePair "${prefix}/${name}" made);
  # The installation is put together from these, which are no outputs of their own.
  parts = packages // {
    inherit (packages.xtask)
      cluster-engine
      command-line
      fault-campaign
      measurements
      ;
  };
in
linkFarm "lab-airgap" (
  {
    "source/lab" = self.outPath;
    "source/nixpkgs" = nixpkgs.outPath;
  }
  // built "packages" packages
  // inputs "inputs" parts
  // inputs "shells" shells
)
