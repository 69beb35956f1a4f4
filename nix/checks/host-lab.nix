# The lab itself, on the host engine, in a build: no network beyond loopback, no root, no name for this machine. It comes up
# with every program there is, each arrow that needs no cluster is proven, and it goes down leaving nothing.
{
  callPackage,
  ended,
  jq,
  packages,
  runCommand,
  tools,
}:
let
  node-exporter = callPackage ./node-exporter.nix { };
in
runCommand "lab-on-this-host"
  {
    nativeBuildInputs = [
      ended.minio
      ended.promtail
      jq
      packages.xtask
    ]
    ++ tools.host;
  }
  ''
    export HOME=$TMPDIR/home LAB_STATE=$TMPDIR/state PATH=${node-exporter}/bin:$PATH
    mkdir $HOME

    lab bootstrap --engine host || {
      lab status || true
      tail -n 20 $LAB_STATE/default/log/pods/*/*/* || true
      exit 1
    }

    # Its exit code says whether an arrow is broken; which one stands in the report, and is to be seen in the log.
    lab verify --json > verification.json || true
    jq --raw-output '.arrows[] | "\(.status) \(.id) \(.reason // "")"' verification.json

    # Absent may be what has one of these at an end: they exist on a cluster alone.
    jq --null-input --exit-status '
      ["argocd", "kube-state-metrics", "metrics-server"] as $cluster
      | input
      | (.arrows | length > 0)
      and all(.arrows[]; .status == "proven" or (.status == "absent" and ([.from, .to] - $cluster | length < 2)))
    ' verification.json

    lab down --purge
    cp verification.json $out
  ''
