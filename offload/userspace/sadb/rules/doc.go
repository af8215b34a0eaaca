// Package rules says what a request about SAs or policies is refused for, as
// far as the request alone decides: the checks of Linux 7.2 (verify_newsa_info,
// verify_newpolicy_info, validate_tmpl and others of net/xfrm/xfrm_user.c, and
// __xfrm_init_state), in the kernel's order and with its texts. It also knows
// the kernel's table of algorithms as far as this engine has them.
//
// It looks at no database: whether an SA exists already is the business of
// package sadb. Start at CheckSA and CheckPolicy.
package rules
