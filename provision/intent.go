package provision

// intend writes down what is about to be made, and returns what was not ours
// before.
func (s *Session) intend(steps []*Step) (fresh []ID, err error) {
	var keys []string
	changed := false
	for _, st := range steps {
		if st.Verb == Delete || st.Verb == Change && st.Settings == nil {
			continue
		}
		fp := st.remember
		if st.SA != nil {
			fp = s.store.fingerprint(st.SA)
			if CounterMode(st.SA) {
				keys = append(keys, use(fp, st.SA.Dir))
			}
			if s.undirected {
				s.store.dirs[st.ID] = st.SA.Dir
			}
		}
		for _, id := range append(stagingIDs(st), st.ID) {
			old, there := s.store.objects[id]
			if !there {
				fresh = append(fresh, id)
			}
			if !there || old != fp {
				s.store.objects[id] = fp
				changed = true
			}
		}
	}
	if err := s.store.mark(keyIntended, keys); err != nil || !changed {
		return fresh, err
	}
	return fresh, s.store.save()
}

// settle drops from the ledger what is no longer there, and notes which keys
// are in use.
func (s *Session) settle(there *indexed, wanted *State) error {
	var used []string
	for _, sa := range wanted.SAs {
		if CounterMode(sa) && there.sas[saID(sa)] != nil {
			used = append(used, s.store.use(sa))
		}
	}
	if err := s.store.mark(keySpent, used); err != nil {
		return err
	}
	present := map[ID]bool{}
	for _, i := range there.Interfaces {
		for _, a := range i.Addresses {
			present[(&Address{NetNS: i.NetNS, Dev: i.Name, Prefix: a}).id()] = true
		}
	}
	for _, st := range there.Settings {
		present[st.id()] = !st.restored(s.store.objects[st.id()])
	}
	changed := false
	for id := range s.store.objects {
		if there.policies[id] == nil && there.routes[id] == nil && there.sas[id] == nil && !present[id] && there.ifaces[id] == nil {
			delete(s.store.objects, id)
			delete(s.store.dirs, id)
			changed = true
		}
	}
	if !changed {
		return nil
	}
	return s.store.save()
}
