package provision

import "fmt"

// staging is how an interface for another namespace is made: in the session's
// namespace, whose SAs and policies it shall have, under a name that nobody
// else has, so that an interface with the wanted name may be there. Then it is
// moved and gets its name. What a killed run leaves of that is known by the
// ledger, and goes because its if_id is needed.
func staging(i *Interface) *Interface {
	return &Interface{Name: fmt.Sprintf("xfrmctl%08x", i.IfID), IfID: i.IfID, Underlay: i.Underlay, MTU: i.MTU}
}

// stagingIDs are the names under which a step may leave its interface behind.
func stagingIDs(s *Step) []ID {
	if s.Interface == nil || s.Interface.NetNS == "" || s.Verb != Create && s.Verb != Replace {
		return nil
	}
	here := staging(s.Interface)
	there := *here
	there.NetNS = s.Interface.NetNS
	return []ID{here.id(), there.id()}
}
