{
  description = "The lab: GitOps and observability that prove themselves";

  # The only input: whatever is not built from this repository comes from it, and it is all that an air gap adds.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;

      systems = [
        "x86_64-linux"
        "aarch64-linux"
        # Development and the checks that need no lab: its programs, images and host engine are for Linux.
        "aarch64-darwin"
      ];

      perSystem = lib.genAttrs systems (
        system:
        let
          pkgs = nixpkgs.legacyPackages.${system};
          onLinux = lib.optionalAttrs pkgs.stdenv.hostPlatform.isLinux;
          # As callPackage does, without the attribute `override` that it would put among the outputs.
          call =
            file:
            let
              function = import file;
            in
            function (builtins.intersectAttrs (lib.functionArgs function) (pkgs // parts));
          parts = {
            inherit call nixpkgs self;
            ended = call ./nix/ended.nix;
            packages = onLinux (call ./nix/packages.nix);
            shells = call ./nix/shells.nix;
            source = call ./nix/source.nix;
            tools = call ./nix/tools.nix;
          };
        in
        {
          inherit (parts) packages shells;
          apps = onLinux (call ./nix/apps.nix);
          checks = call ./nix/checks.nix;
          formatter = pkgs.nixfmt-tree;
        }
      );

      each = name: lib.mapAttrs (_: outputs: outputs.${name}) perSystem;
    in
    {
      packages = each "packages";
      apps = each "apps";
      devShells = each "shells";
      checks = each "checks";
      formatter = each "formatter";
    };
}
