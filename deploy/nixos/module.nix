# akldap as a NixOS service, with the same units as the packages:
#
#   imports = [ ./akldap/deploy/nixos/module.nix ];
#   services.akldap = {
#     enable = true;
#     settings.AUTHENTIK_HOST = "https://authentik.example.org";
#     settings.AUTHENTIK_TOKEN = "file:///run/secrets/akldap";    # which the user akldap can read
#   };
#
# LDAP is on 389 and LDAPS on 636; networking.firewall.allowedTCPPorts opens them. Other ports: systemd.sockets.
#
# Not evaluated and not run: there was no NixOS here.
{ config, lib, pkgs, ... }:

let
  cfg = config.services.akldap;
  settings = pkgs.writeText "akldap.env" (
    lib.concatStrings (lib.mapAttrsToList (name: value: "${name}=${builtins.toJSON (toString value)}\n") cfg.settings)
  );
  units = pkgs.runCommand "akldap-units" { } ''
    mkdir -p $out/lib/systemd/system
    cp ${../systemd}/*.service ${../systemd}/*.socket $out/lib/systemd/system
  '';
in
{
  options.services.akldap = {
    enable = lib.mkEnableOption "akldap, an LDAP server for authentik";
    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = lib.literalExpression "pkgs.callPackage ./package.nix { }";
      description = "The package that has the program.";
    };
    settings = lib.mkOption {
      type = lib.types.attrsOf (lib.types.oneOf [ lib.types.str lib.types.int ]);
      default = { };
      example = { AUTHENTIK_LDAP__REQUIRE_TLS = "true"; };
      description = "Variables of the server, as docs/options.md lists them.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = lib.hasPrefix "file://" (toString (cfg.settings.AUTHENTIK_TOKEN or ""));
        message = "services.akldap.settings.AUTHENTIK_TOKEN has to be file:///path: everybody can read what is in the Nix store";
      }
    ];
    users.users.akldap = {
      isSystemUser = true;
      group = "akldap";
    };
    users.groups.akldap = { };
    environment.systemPackages = [ cfg.package ];
    environment.etc."akldap/akldap.env".source = settings;
    systemd.packages = [ units ];
    systemd.sockets.akldap-ldap.wantedBy = [ "sockets.target" ];
    systemd.sockets.akldap-ldaps.wantedBy = [ "sockets.target" ];
    systemd.services.akldap = {
      wantedBy = [ "multi-user.target" ];
      restartTriggers = [ settings ];
      serviceConfig = {
        # The first, empty one clears what the unit says.
        ExecStart = [ "" "${lib.getExe cfg.package} serve" ];
        ExecReload = [ "" "${pkgs.coreutils}/bin/kill -HUP $MAINPID" ];
      };
    };
  };
}
