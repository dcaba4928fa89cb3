//! The attribute of a test that needs a program of the machine. Rust's own harness decides while compiling which tests are
//! ignored; whether a client is installed is known when the test runs. So these tests are registered with a harness that
//! takes the answer then: `akldap_testing::client_test`.
//!
//! Knows the shape of a function. Must not know what a test needs.
//!
//! `akldap_testing::client_test` shows a program of such tests: an example of a crate of procedural macros cannot link the harness.

use proc_macro::{TokenStream, TokenTree};

/// Registers a function, `async` or not, as a test of a program whose `main` is `akldap_testing::client_test::main`.
#[proc_macro_attribute]
pub fn client_test(arguments: TokenStream, function: TokenStream) -> TokenStream {
    if !arguments.is_empty() {
        return error("`client_test` takes no arguments");
    }
    let words = || {
        function.clone().into_iter().filter_map(|tree| match tree {
            TokenTree::Ident(word) => Some(word.to_string()),
            _ => None,
        })
    };
    let before: Vec<String> = words().take_while(|word| word != "fn").collect();
    let Some(name) = words().nth(before.len() + 1) else {
        return error("`client_test` stands before a function");
    };
    let run = if before.last().is_some_and(|word| word == "async") {
        format!("|| ::akldap_testing::client_test::block_on({name}())")
    } else {
        name.clone()
    };
    let registered = format!(
        "::akldap_testing::client_test::submit! {{
            ::akldap_testing::client_test::ClientTest {{ module: module_path!(), name: \"{name}\", run: {run} }}
        }}"
    );
    let mut out = function;
    match registered.parse::<TokenStream>() {
        Ok(registered) => out.extend(registered),
        Err(fault) => return error(&fault.to_string()),
    }
    out
}

fn error(text: &str) -> TokenStream {
    format!("compile_error!({text:?});").parse().unwrap_or_default()
}
