# Every Nix file is as `nix fmt` writes it.
{
  nixfmt,
  runCommand,
  self,
}:
runCommand "lab-nixfmt" { nativeBuildInputs = [ nixfmt ]; } ''
  find ${self} -name '*.nix' -exec nixfmt --check {} +
  touch $out
''
