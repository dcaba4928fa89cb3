# The program, built by nixpkgs: `pkgs.callPackage ./package.nix { }`. It needs the Rust that Cargo.toml names, or a newer one.
#
# The units and settings come from module.nix. Not evaluated and not built: there was no Nix here.
{ lib, rustPlatform }:

rustPlatform.buildRustPackage {
  pname = "akldap";
  version = (lib.importTOML ../../Cargo.toml).workspace.package.version;
  src = lib.cleanSource ../..;
  cargoLock.lockFile = ../../Cargo.lock;
  cargoBuildFlags = [ "--bin" "akldap" ];
  # They need LDAP clients and the network.
  doCheck = false;
  meta = {
    description = "LDAP and LDAPS server for authentik";
    license = lib.licenses.mit;
    platforms = lib.platforms.linux;
    mainProgram = "akldap";
  };
}
