# The lab as it is installed: `lab` with the programs that it starts beside it, manifests and images below share/lab.
#
# The command line finds them by where its own file lies, with every link followed. So the programs are copied into one
# directory, and the wrapper runs a file of that directory.
{
  lib,
  cluster-engine,
  command-line,
  consumer,
  fault-campaign,
  images,
  installShellFiles,
  makeBinaryWrapper,
  measurements,
  producer,
  runCommand,
  source,
  tools,
}:
runCommand "lab-${command-line.version}"
  {
    pname = "lab";
    inherit (command-line) version;

    nativeBuildInputs = [
      installShellFiles
      makeBinaryWrapper
    ];

    passthru = {
      inherit
        cluster-engine
        command-line
        fault-campaign
        measurements
        ;
    };

    meta = command-line.meta // {
      description = "GitOps and observability that prove themselves, on one machine";
      mainProgram = "lab";
    };
  }
  ''
    install -D ${command-line}/bin/xtask $out/bin/lab
    install -t $out/bin ${cluster-engine}/bin/lab-cluster ${fault-campaign}/bin/lab-chaos ${measurements}/bin/lab-bench
    install -t $out/bin ${producer}/bin/producer ${consumer}/bin/consumer

    mkdir -p $out/share/lab
    ln -s ${source.manifests}/manifests $out/share/lab/manifests
    ln -s ${images} $out/share/lab/images

    installShellCompletion --cmd lab \
      --bash <($out/bin/lab completions bash) \
      --fish <($out/bin/lab completions fish) \
      --zsh <($out/bin/lab completions zsh)

    # Behind the user's own: who has a newer kind, or a broker of another version, has put it on PATH to be used.
    wrapProgram $out/bin/lab --suffix PATH : ${lib.makeBinPath (tools.cluster ++ tools.host)}
  ''
