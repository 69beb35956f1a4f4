# The packages of nixpkgs that the lab may name, with a version that the pin has or could have.
{
  actionlint = "1.7.12";
  argocd = "3.3.6";
  cargo = "1.95.0";
  cargo-deny = "0.19.0";
  clippy = "1.95.0";
  etcd_3_6 = "3.6.13";
  grafana = "13.0.1";
  grafana-loki = "3.7.2";
  installShellFiles = "0";
  jq = "1.8.1";
  kind = "0.31.0";
  kubectl = "1.36.2";
  kubernetes = "1.36.2";
  kustomize = "5.8.1";
  makeBinaryWrapper = "0";
  minio = "2025-10-15T17-29-55Z";
  nixfmt = "1.3.1";
  nixfmt-tree = "1.3.1";
  openssl = "3.6.3";
  prometheus = "3.13.1";
  prometheus-alertmanager = "0.33.1";
  prometheus-blackbox-exporter = "0.28.0";
  prometheus-node-exporter = "1.12.0";
  pyroscope = "1.20.3";
  rabbitmq-server = "4.2.5";
  rust-analyzer = "2026-09-01";
  rustc = "1.95.0";
  rustfmt = "1.95.0";
  shellcheck = "0.11.0";
  skopeo = "1.22.0";
}
