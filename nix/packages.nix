# What `nix build` makes: the programs, the installation of them all, the images, and what crosses an air gap.
{
  call,
  callPackage,
  ended,
  nixpkgs,
  self,
  shells,
  source,
  tools,
}:
let
  program = call ./program.nix;
  image = call ./image.nix;

  producer = program {
    pname = "producer";
    description = "Publishes the lab's messages and awaits their confirms";
  };
  consumer = program {
    pname = "consumer";
    description = "Works the lab's messages off and acknowledges them";
  };
  xtask = callPackage ./lab.nix {
    inherit
      consumer
      images
      producer
      source
      tools
      ;
    command-line = program {
      pname = "xtask";
      description = "The lab's command line and its host engine";
    };
    cluster-engine = program {
      pname = "lab-cluster";
      description = "The lab's cluster engine";
      member = "cluster";
    };
    fault-campaign = program {
      pname = "lab-chaos";
      description = "The lab's fault campaign";
      member = "chaos";
    };
    measurements = program {
      pname = "lab-bench";
      description = "The lab's measurements of its workload";
      member = "bench";
    };
  };

  image-producer = image {
    package = producer;
    name = "lab/producer";
    # The admin server.
    ports = [ 9464 ];
  };
  image-consumer = image {
    package = consumer;
    name = "lab/consumer";
    ports = [ 9464 ];
  };

  # The lab's own images as `lab push` reads them.
  images = callPackage ./images.nix {
    images = {
      "lab/consumer" = image-consumer;
      "lab/producer" = image-producer;
    };
  };

  made = {
    default = xtask;
    inherit
      consumer
      image-consumer
      image-producer
      images
      producer
      xtask
      ;
    inherit (ended) minio promtail;

    image-minio = image {
      package = ended.minio;
      name = "lab/minio";
      ports = [
        9000
        9001
      ];
    };
    image-promtail = image {
      package = ended.promtail;
      name = "lab/promtail";
      ports = [ 3101 ];
    };
  };
in
made
// {
  airgap = callPackage ./airgap.nix {
    inherit
      nixpkgs
      self
      shells
      ;
    packages = made;
  };
}
