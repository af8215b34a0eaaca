package netlinkx

// dumpPolicies is the body of a policy dump: none.
type dumpPolicies struct{}

func (dumpPolicies) appendTo(b []byte) ([]byte, error) { return b, nil }
func (dumpPolicies) String() string                    { return "policies" }
