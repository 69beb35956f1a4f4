# Packages of one system that evaluate like nixpkgs' and build, in no time, to what they were asked for. They show that the
# lab's flake is wired right; what nixpkgs makes of it, only nixpkgs shows.
{
  system,
  config ? { },
}:
let
  lib = import ./lib.nix;

  # What a package must be evaluated with in nixpkgs, too.
  refusal =
    { name, meta }:
    if !builtins.elem system (meta.platforms or lib.systems) then
      "${name} is not available on ${system}"
    else if
      (meta.insecure or false) && !builtins.elem name (config.permittedInsecurePackages or [ ])
    then
      "${name} is marked as insecure, refusing to evaluate"
    else
      null;

  # A derivation whose environment holds every argument, however deep: none stays unevaluated, and what it refers to is built
  # before. Scripts are not run, but read by bash (builder.sh).
  derive =
    arguments:
    let
      name = arguments.name or "${arguments.pname}-${arguments.version}";
      meta = arguments.meta or { };
      passthru = arguments.passthru or { };
      given = removeAttrs arguments [
        "meta"
        "passthru"
      ];
      refused = refusal { inherit name meta; };
      scripts = lib.filter (script: given ? ${script}) [
        "buildCommand"
        "buildPhase"
        "extraCommands"
        "installPhase"
        "shellHook"
      ];
      made = derivation (
        {
          inherit name system;
          builder = "/bin/bash";
          args = [ ./builder.sh ];
          outputs = [ "out" ];
          stdenv = ./stdenv;
          program = meta.mainProgram or "";
          arguments = builtins.toJSON given;
          packages = given.nativeBuildInputs or [ ];
          inherit scripts;
        }
        // given.env or { }
        // lib.genAttrs scripts (script: given.${script})
      );
    in
    if refused != null then
      throw refused
    else
      passthru
      // made
      // {
        inherit meta passthru;
        inherit (given) nativeBuildInputs;
        version = given.version or "";
        overrideAttrs = change: derive (arguments // change arguments);
        inputDerivation = derive {
          name = "${name}-inputs";
          nativeBuildInputs = [ ];
          inherit given;
        };
      };

  # With the arguments that every package has in the end.
  package = arguments: derive ({ nativeBuildInputs = [ ]; } // arguments);

  # `f (final: { ... })`, as nixpkgs' builders take it.
  fixed =
    build: arguments:
    if builtins.isFunction arguments then
      let
        final = arguments final;
      in
      build final
    else
      build arguments;

  program =
    name: version:
    package {
      pname = name;
      inherit version;
      meta = {
        mainProgram = name;
        description = "Stand-in for ${name}";
        insecure = name == "minio";
      };
    };

  runCommand =
    name: environment: buildCommand:
    package (environment // { inherit name buildCommand; });

  pkgs = lib.mapAttrs program (import ./programs.nix) // {
    inherit lib pkgs runCommand;

    # promtool is an output of its own.
    prometheus = program "prometheus" (import ./programs.nix).prometheus // {
      cli = program "promtool" (import ./programs.nix).prometheus;
    };
    promtail = throw "promtail has been removed as it reached its end of life";

    stdenv.hostPlatform = {
      inherit system;
      isLinux = builtins.elem system lib.platforms.linux;
    };

    callPackage =
      file: arguments:
      let
        function = if builtins.isFunction file then file else import file;
        made = function (builtins.intersectAttrs (lib.functionArgs function) pkgs // arguments);
      in
      if builtins.isAttrs made then
        made // { override = throw "the stand-in has no override"; }
      else
        made;

    buildGoModule = fixed (
      {
        src,
        vendorHash,
        subPackages,
        ...
      }@arguments:
      package arguments
    );
    rustPlatform = {
      buildRustPackage = fixed (
        {
          src,
          cargoLock,
          ...
        }@arguments:
        package arguments
      );
      rustLibSrc = program "rust-lib-src" (import ./programs.nix).rustc;
    };

    dockerTools.buildLayeredImage =
      {
        name,
        tag,
        created,
        mtime,
        extraCommands,
        config,
      }@arguments:
      package (
        arguments
        // {
          name = "${baseNameOf name}.tar.gz";
          passthru.stream = package (arguments // { name = "stream-${baseNameOf name}"; });
        }
      );

    fetchFromGitHub =
      {
        owner,
        repo,
        rev,
        hash,
      }@arguments:
      package (arguments // { name = "source"; });
    fetchurl =
      {
        name,
        url,
        sha256,
      }@arguments:
      package arguments;

    linkFarm = name: entries: package { inherit name entries; };
    mkShell =
      { packages, ... }@arguments:
      package (
        removeAttrs arguments [ "packages" ]
        // {
          nativeBuildInputs = packages;
        }
      );
    writeShellApplication =
      {
        name,
        text,
      }:
      package {
        inherit name;
        buildCommand = text;
        meta.mainProgram = name;
      };
  };
in
pkgs
