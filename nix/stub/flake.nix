{
  description = "Stand-in for nixpkgs, for offline evaluation only";

  outputs =
    { self }:
    let
      lib = import ./lib.nix;
    in
    {
      inherit lib;
      legacyPackages = lib.genAttrs lib.systems (system: import ./. { inherit system; });
    };
}
