# An OCI layout of images, each under its name, as an installation of the lab has it in share/lab/images.
{
  lib,
  images,
  runCommand,
  skopeo,
}:
runCommand "lab-images" { nativeBuildInputs = [ skopeo ]; } (
  lib.concatStrings (
    lib.mapAttrsToList (name: image: ''
      ${image.stream} > image.tar
      # The policy is about whose signatures to trust; these images come from the store.
      skopeo --insecure-policy --tmpdir "$TMPDIR" copy --quiet docker-archive:image.tar oci:$out:${name}
    '') images
  )
)
