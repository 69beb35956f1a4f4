# An image of one program, laid out like those that `lab images build` makes: the program below /usr/bin, root and nonroot,
# /tmp, no shell. It differs in what the program is linked with, which comes along in layers of its own.
{ lib, dockerTools }:
{
  package,
  name,
  ports,
}:
let
  # 65532 is what distroless images call nonroot; a number needs no look-up to be known not to be root.
  user = 65532;
  program = package.meta.mainProgram;
in
dockerTools.buildLayeredImage {
  inherit name;
  # Never `latest`, which would make every start of a pod ask the registry.
  tag = package.version;

  # The day of its making is in no digest.
  created = "1970-01-01T00:00:00Z";
  mtime = "1970-01-01T00:00:00Z";

  extraCommands = ''
    mkdir -p etc usr/bin
    mkdir -m 1777 tmp
    ln -s ${lib.getExe package} usr/bin/${program}
    echo 'hosts: files dns' > etc/nsswitch.conf
    cat > etc/passwd <<END
    root:x:0:0:root:/:/sbin/nologin
    nonroot:x:${toString user}:${toString user}:nonroot:/:/sbin/nologin
    END
    cat > etc/group <<END
    root:x:0:
    nonroot:x:${toString user}:
    END
  '';

  config = {
    Entrypoint = [ "/usr/bin/${program}" ];
    User = "${toString user}:${toString user}";
    WorkingDir = "/";
    Env = [ "PATH=/usr/bin" ];
    ExposedPorts = lib.genAttrs (map (port: "${toString port}/tcp") ports) (_: { });
    Labels = {
      "org.opencontainers.image.title" = program;
      "org.opencontainers.image.version" = package.version;
      "org.opencontainers.image.description" = package.meta.description;
    };
  };
}
