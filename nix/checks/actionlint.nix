# The workflow is one that GitHub takes, and its scripts are ones that shellcheck has nothing to say about.
{
  actionlint,
  runCommand,
  shellcheck,
}:
runCommand "lab-actionlint"
  {
    nativeBuildInputs = [
      actionlint
      shellcheck
    ];
  }
  ''
    actionlint ${../../.github/workflows}/*.yml
    touch $out
  ''
