# The part of nixpkgs' library that the lab uses, with the behaviour that it relies on. What is not here, the lab may not use.
let
  inherit (builtins)
    attrNames
    concatMap
    concatStringsSep
    elem
    filter
    isString
    listToAttrs
    mapAttrs
    pathExists
    replaceStrings
    split
    stringLength
    substring
    ;

  systems = [
    "x86_64-linux"
    "aarch64-linux"
    "aarch64-darwin"
  ];

  genAttrs =
    names: value:
    listToAttrs (
      map (name: {
        inherit name;
        value = value name;
      }) names
    );

  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
  optionals = condition: list: if condition then list else [ ];
in
{
  inherit
    concatMap
    concatStringsSep
    filter
    genAttrs
    hasPrefix
    listToAttrs
    mapAttrs
    optionals
    systems
    ;
  inherit (builtins)
    attrValues
    concatLists
    functionArgs
    head
    ;

  concatStrings = concatStringsSep "";
  hasInfix = infix: text: replaceStrings [ infix ] [ "" ] text != text;
  importJSON = path: builtins.fromJSON (builtins.readFile path);
  importTOML = path: fromTOML (builtins.readFile path);
  mapAttrs' = change: set: listToAttrs (map (name: change name set.${name}) (attrNames set));
  mapAttrsToList = change: set: map (name: change name set.${name}) (attrNames set);
  nameValuePair = name: value: { inherit name value; };
  optional = condition: item: optionals condition [ item ];
  optionalAttrs = condition: set: if condition then set else { };
  removePrefix =
    prefix: text: if hasPrefix prefix text then substring (stringLength prefix) (-1) text else text;
  splitString = separator: text: filter isString (split separator text);
  throwIf = condition: message: if condition then throw message else value: value;

  # nixpkgs guesses the program's name where a package does not say it; here it must.
  getExe = package: "${package}/bin/${package.meta.mainProgram}";
  makeBinPath = packages: concatStringsSep ":" (map (package: "${package}/bin") packages);

  licenses = genAttrs [ "asl20" ] (shortName: {
    inherit shortName;
  });
  platforms.linux = filter (system: !elem system [ "aarch64-darwin" ]) systems;

  fileset = {
    unions = paths: paths;
    toSource =
      { root, fileset }:
      let
        missing = filter (path: !pathExists path) fileset;
        wanted = map toString fileset;
        isWanted = path: builtins.any (one: path == one || hasPrefix "${one}/" path) wanted;
        leadsThere = path: builtins.any (hasPrefix "${path}/") wanted;
      in
      if missing != [ ] then
        throw "lib.fileset.unions: no such path: ${toString (builtins.head missing)}"
      else
        {
          outPath = builtins.path {
            path = root;
            name = "source";
            filter = path: _: isWanted path || leadsThere path;
          };
        };
  };
}
