//! ldap-utils, to ask a server on a stage with.

use tokio::process::Command;

use crate::program::{self, Output};
use crate::stage::{BASE, Stage, user_dn};

impl Stage {
    /// The URI of the plain port.
    pub fn uri(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.ldap().port())
    }

    /// A program of ldap-utils with simple authentication against the plain port.
    pub fn tool(&self, program: &str) -> Command {
        let mut command = program::command(program);
        command.args(["-x", "-H", &self.uri()]);
        command
    }

    /// The same, bound as one of the sample's people.
    pub fn tool_as(&self, username: &str, program: &str) -> Command {
        let mut command = self.tool(program);
        command.args(["-D", &user_dn(username), "-w", &format!("demo-{username}")]);
        command
    }

    /// `ldapsearch` with LDIF alone as its output, below the base DN.
    pub async fn ldapsearch(&self, username: &str, arguments: &[&str]) -> Output {
        let mut command = self.tool_as(username, "ldapsearch");
        program::run(
            command
                .args(["-LLL", "-o", "ldif-wrap=no", "-b", BASE])
                .args(arguments),
        )
        .await
    }

    /// The same with comments, which show controls and results.
    pub async fn ldapsearch_in_full(&self, username: &str, arguments: &[&str]) -> Output {
        let mut command = self.tool_as(username, "ldapsearch");
        program::run(command.args(["-o", "ldif-wrap=no", "-b", BASE]).args(arguments)).await
    }
}
