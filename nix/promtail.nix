# Promtail, from the newest sources whose image still exists (manifests/promtail). Loki 3.7 has it no more.
{
  lib,
  buildGoModule,
  fetchFromGitHub,
}:
buildGoModule (promtail: {
  pname = "promtail";
  version = "3.6.10";

  src = fetchFromGitHub {
    owner = "grafana";
    repo = "loki";
    rev = "v${promtail.version}";
    hash = "sha256-ZgakqAGj1iBxrB+iS6DHdt4hjmyBEj7m8CFwymVhZeM=";
  };

  # Its dependencies are in the repository.
  vendorHash = null;

  subPackages = [ "clients/cmd/promtail" ];

  # The lab reads log files. With cgo it would be linked with systemd's library for the journal.
  env.CGO_ENABLED = 0;

  ldflags = [
    "-s"
    "-w"
    "-X github.com/grafana/loki/v3/pkg/util/build.Version=${promtail.version}"
  ];

  # Upstream's tests are upstream's; the lab's own are run against the program.
  doCheck = false;

  meta = {
    description = "Reads log files and hands them to Loki";
    homepage = "https://grafana.com/docs/loki/latest/send-data/promtail/";
    license = lib.licenses.asl20;
    mainProgram = "promtail";
  };
})
