# Programs from nixpkgs, by what they are for.
{
  actionlint,
  argocd,
  cargo,
  cargo-deny,
  clippy,
  etcd_3_6,
  grafana,
  grafana-loki,
  jq,
  kind,
  kubectl,
  kubernetes,
  kustomize,
  nixfmt,
  openssl,
  prometheus,
  prometheus-alertmanager,
  prometheus-blackbox-exporter,
  prometheus-node-exporter,
  pyroscope,
  rabbitmq-server,
  rust-analyzer,
  rustc,
  rustfmt,
  skopeo,
}:
{
  # What the kind engine drives, beside a container engine: that one is the machine's own.
  cluster = [
    kind
    kubectl
    kustomize
  ];

  # What the host engine starts, as far as nixpkgs has it without an exception (ended.nix).
  host = [
    grafana
    grafana-loki
    prometheus
    prometheus-alertmanager
    prometheus-blackbox-exporter
    prometheus-node-exporter
    pyroscope
    rabbitmq-server
  ];

  # What the tests of the manifests ask: the programs that read the configuration, and an API server.
  manifests = [
    etcd_3_6
    kubectl
    kubernetes
    kustomize
    openssl
    prometheus.cli
  ];

  rust = [
    cargo
    cargo-deny
    clippy
    rust-analyzer
    rustc
    rustfmt
  ];

  # For people: to look at a lab, and to change this repository.
  people = [
    actionlint
    argocd
    jq
    nixfmt
    prometheus.cli
    skopeo
  ];
}
