// What Bitwarden's directory connector asks, with ldapts: people and groups in pages, members by the very DNs, and later
// what changed since. Prints a line of JSON, waits for a line, and prints another. Arguments: the URI; clear, ldaps or start_tls; the
// file of the authority to trust.
const fs = require("fs");
const { Client, NoSuchObjectError, InvalidCredentialsError, InsufficientAccessError, UnavailableCriticalExtensionError, Control } = require("ldapts");

const [url, transport, authority] = process.argv.slice(2);
const trust = () => ({ ca: [fs.readFileSync(authority)], host: "127.0.0.1" });
const base = "DC=ldap,DC=goauthentik,DC=io";
const users = `ou=users,${base}`;

async function bound(dn, password) {
  const tlsOptions = transport === "ldaps" ? trust() : undefined;
  const client = new Client({ url, timeout: 20000, connectTimeout: 10000, tlsOptions });
  if (transport === "start_tls") await client.startTLS(trust());
  await client.bind(dn, password);
  return client;
}

async function failure(work) {
  try {
    await work();
    return "none";
  } catch (error) {
    for (const kind of [NoSuchObjectError, InvalidCredentialsError, InsufficientAccessError, UnavailableCriticalExtensionError]) {
      if (error instanceof kind) return kind.name;
    }
    return String(error);
  }
}

const login = (dn, password) => failure(async () => (await bound(dn, password)).unbind());

async function people(client, filter, size) {
  const found = await client.search(users, {
    filter: `(&(&(objectClass=person))${filter})`,
    scope: "sub",
    attributes: ["dn", "cn", "mail", "modifyTimestamp", "entryUUID"],
    paged: size ? { pageSize: size } : true,
    timeLimit: 30,
  });
  return found.searchEntries;
}

async function main() {
  const client = await bound(`cn=ldapservice,${users}`, "demo-ldapservice");
  const everybody = await people(client, "(mail=*)", 30);
  const hundreds = await people(client, "(mail=*)");
  const groups = (
    await client.search(`ou=groups,${base}`, {
      filter: "(objectClass=groupOfNames)",
      attributes: ["dn", "cn", "member"],
      paged: { pageSize: 10 },
    })
  ).searchEntries;
  const byDn = new Map(everybody.map((entry) => [entry.dn, entry]));
  const members = (name) => {
    const group = groups.find((entry) => entry.cn === name);
    return [group.member].flat().map((dn) => byDn.get(dn)?.mail).filter(Boolean).sort();
  };
  class ShowDeleted extends Control {
    constructor() {
      super("1.2.840.113556.1.4.417", { critical: true });
    }
  }
  console.log(
    JSON.stringify({
      people: everybody.length,
      hundreds: hundreds.length,
      uuids: new Set(everybody.map((entry) => entry.entryUUID)).size,
      groups: groups.length,
      backend: members("backend"),
      emea: members("Sales, EMEA"),
      missing: await failure(() => client.search(`cn=nobody,${users}`, { scope: "base" })),
      deleted: await failure(() => client.search(users, { filter: "(isDeleted=TRUE)" }, [new ShowDeleted()])),
      right: await login(`cn=alice,${users}`, "demo-alice"),
      wrong: await login(`cn=alice,${users}`, "wrong"),
      refused: await login(`cn=mallory,${users}`, "demo-mallory"),
    }),
  );
  await new Promise((resolve) => process.stdin.once("data", resolve));
  const newest = everybody.map((entry) => entry.modifyTimestamp).sort().at(-1);
  // Bitwarden writes a time with a fraction.
  const since = `${newest.slice(0, 14)}.1Z`;
  const changed = await people(client, `(modifyTimestamp>=${since})`, 100);
  console.log(JSON.stringify({ changed: changed.map((entry) => [entry.cn, entry.mail]) }));
  await client.unbind();
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
