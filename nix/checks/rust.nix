# What `cargo xtask test` checks, as far as it needs neither a registry nor a container engine, each apart: a lint that
# fails does not hide a test that does.
{
  lib,
  callPackage,
  cargo-deny,
  clippy,
  ended,
  fetchurl,
  packages,
  rustfmt,
  source,
  tools,
}:
let
  # The programs' vendored dependencies and toolchain, with other commands.
  cargo =
    name: tools: commands:
    packages.xtask.command-line.overrideAttrs (previous: {
      pname = "lab-${name}";
      src = source.tests;
      nativeBuildInputs = previous.nativeBuildInputs ++ tools;
      buildPhase = ''
        export HOME=$TMPDIR
        ${commands}
      '';
      installPhase = "touch $out";
    });

  # The file says its own address and digest, for `lab bootstrap` and for this.
  argocd =
    let
      text = builtins.readFile ../../manifests/argocd/upstream.yaml;
      value =
        key:
        let
          found = lib.filter (lib.hasPrefix "${key}: ") (lib.splitString "\n" text);
        in
        lib.removePrefix "${key}: " (lib.head found);
    in
    fetchurl {
      name = "argocd-install.yaml";
      url = value "url";
      sha256 = value "sha256";
    };
in
{
  rustfmt = cargo "rustfmt" [ rustfmt ] "cargo fmt --all --check";

  clippy = cargo "clippy" [
    clippy
  ] "cargo clippy --offline --workspace --all-targets -- --deny warnings";

  # The list of advisories is elsewhere and changes daily: the workflow asks it, on a schedule.
  deny = cargo "deny" [ cargo-deny ] "cargo deny --offline check bans licenses sources";

  # Apart, as everywhere: see program.nix.
  tests = cargo "tests" [ ] ''
    cargo test --offline --workspace --exclude lab-tests --exclude oci --exclude cluster
    cargo test --offline --package oci --package cluster
  '';

  # Every directory of manifests as kustomize builds it and as an API server takes it, every file of configuration as its
  # own program reads it. Nothing may be missing here, so nothing is skipped.
  manifests =
    cargo "manifests"
      (
        tools.manifests
        ++ tools.host
        ++ [
          ended.minio
          ended.promtail
        ]
      )
      ''
        export LAB_REQUIRE=all PATH=${callPackage ./node-exporter.nix { }}/bin:$PATH
        install --mode=644 ${argocd} manifests/argocd/install.yaml
        cargo test --offline --package lab-tests --test manifests --test config_files --test namespaces
      '';
}
