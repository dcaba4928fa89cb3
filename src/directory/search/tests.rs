use super::*;
use crate::directory::fixture::*;

#[test]
fn an_equality_search_finds_users_and_virtual_groups_in_order() {
    assert_eq!(
        query("(cn=BOB)").names(),
        ["cn=bob,ou=users", "cn=bob,ou=virtual-groups"]
    );
    assert_eq!(
        query("(&(cn=bob)(objectClass=user))").names(),
        ["cn=bob,ou=users"]
    );
    println!("{}", query("(objectClass=*)").ldif());
}
