// What Wiki.js, The Lounge and other Node programs ask, with ldapjs: its paged search insists on the paging control in
// every answer. Prints a line of JSON. Arguments: the URI; clear, ldaps or start_tls; the file of the authority to trust.
const fs = require("fs");
const ldap = require("ldapjs");

const [url, transport, authority] = process.argv.slice(2);
const trust = () => ({ ca: [fs.readFileSync(authority)], host: "127.0.0.1" });
const base = "DC=ldap,DC=goauthentik,DC=io";
const users = `ou=users,${base}`;

function connected() {
  return new Promise((resolve, reject) => {
    const client = ldap.createClient({ url: [url], timeout: 20000, connectTimeout: 10000, tlsOptions: trust() });
    client.once("connect", () => {
      if (transport !== "start_tls") return resolve(client);
      client.starttls(trust(), [], (error) => (error ? reject(error) : resolve(client)));
    });
    client.once("error", reject);
  });
}

function bind(client, dn, password) {
  return new Promise((resolve) => client.bind(dn, password, (error) => resolve(error ? error.code : 0)));
}

async function login(dn, password) {
  const client = await connected();
  const code = await bind(client, dn, password);
  client.destroy();
  return code;
}

// Entries, and how many pages they came in.
function search(client, from, options) {
  return new Promise((resolve, reject) => {
    client.search(from, { scope: "sub", ...options }, (error, events) => {
      if (error) return reject(error);
      const entries = [];
      let pages = 0;
      events.on("searchEntry", (entry) => entries.push(entry.pojo));
      events.on("page", () => pages++);
      events.on("error", (failure) => resolve({ code: failure.code ?? String(failure), entries, pages }));
      events.on("end", (result) => resolve({ code: result.status, entries, pages }));
    });
  });
}

const compare = (client, dn, attribute, value) =>
  new Promise((resolve, reject) =>
    client.compare(dn, attribute, value, (error, matches) => (error ? reject(error) : resolve(matches))),
  );

const value = (entry, name) => entry.attributes.find((attribute) => attribute.type === name)?.values[0];

async function main() {
  const client = await connected();
  const bound = await bind(client, `cn=ldapservice,${users}`, "demo-ldapservice");
  const paged = await search(client, users, { filter: "(objectClass=user)", attributes: ["cn"], paged: { pageSize: 40 } });
  const pausing = await search(client, users, { filter: "(objectClass=user)", attributes: ["cn"], paged: true });
  const one = await search(client, users, { filter: "(|(cn=alice)(mail=alice))", attributes: ["cn", "mail", "memberOf"] });
  const literal = await search(client, users, {
    filter: new ldap.EqualityFilter({ attribute: "cn", value: "*" }),
    attributes: ["cn"],
  });
  const limited = await search(client, users, { filter: "(objectClass=user)", sizeLimit: 4, attributes: ["cn"] });
  const missing = await search(client, `cn=nobody,${users}`, { scope: "base" });
  console.log(
    JSON.stringify({
      bound,
      paged: [paged.code, paged.entries.length, paged.pages],
      hundreds: [pausing.code, pausing.entries.length],
      one: one.entries.map((entry) => [entry.objectName, value(entry, "mail")]),
      literal: literal.entries.length,
      limited: [limited.code, limited.entries.length],
      missing: missing.code,
      member: await compare(client, `cn=backend,ou=groups,${base}`, "member", `cn=alice,${users}`),
      right: await login(`cn=alice,${users}`, "demo-alice"),
      wrong: await login(`cn=alice,${users}`, "wrong"),
      refused: await login(`cn=mallory,${users}`, "demo-mallory"),
    }),
  );
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
