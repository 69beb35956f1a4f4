# The node exporter where there is no /sys, as in a sandbox: it looks at the first processor that it finds there, and without
# one it ends (prometheus/node_exporter, collector/cpu_linux.go, updateOnline).
{
  lib,
  prometheus-node-exporter,
  runCommand,
  writeShellApplication,
}:
let
  sysfs = runCommand "sysfs" { } "mkdir -p $out/devices/system/cpu/cpu0";
in
writeShellApplication {
  name = "node_exporter";
  text = ''
    exec ${lib.getExe prometheus-node-exporter} --path.sysfs=${sysfs} "$@"
  '';
}
