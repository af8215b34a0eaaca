package netlinkx

import "context"

// AddPolicy adds a policy. One with the same selector, direction, type, mark
// and if_id fails with fs.ErrExist, whatever its priority; the error names it.
func (c *Conn) AddPolicy(ctx context.Context, p *Policy) error { return c.Do(ctx, AddPolicy(p)) }

// UpdatePolicy creates the policy or replaces the one with its identity, which
// keeps its index.
func (c *Conn) UpdatePolicy(ctx context.Context, p *Policy) error {
	return c.Do(ctx, UpdatePolicy(p))
}

// DeletePolicy deletes a policy; fs.ErrNotExist when there is none.
func (c *Conn) DeletePolicy(ctx context.Context, id PolicyID) error {
	return c.Do(ctx, DeletePolicy(&id))
}

// GetPolicy reads a policy; fs.ErrNotExist when there is none.
func (c *Conn) GetPolicy(ctx context.Context, id PolicyID) (*Policy, error) {
	return get(ctx, c, GetPolicy(&id), MsgNewPolicy, func(p []byte) (*Policy, error) {
		return decodePolicy(MsgNewPolicy, p, SizePolicyInfo)
	})
}

// FlushPolicies deletes every policy of a type (absent: main), whoever made it.
// Policies of sockets survive.
func (c *Conn) FlushPolicies(ctx context.Context, t Opt[PolicyType]) error {
	return c.Do(ctx, FlushPolicies(t))
}

// SPDInfo returns the numbers of policies and the hash thresholds.
func (c *Conn) SPDInfo(ctx context.Context) (SPDInfo, error) {
	i, err := get(ctx, c, GetSPDInfo(), MsgNewSPDInfo, decodeSPDInfo)
	if err != nil {
		return SPDInfo{}, err
	}
	return *i, nil
}

// SetSPDInfo sets the hash thresholds that are present in i.
func (c *Conn) SetSPDInfo(ctx context.Context, i *SPDInfo) error { return c.Do(ctx, SetSPDInfo(i)) }

// Defaults returns what happens to traffic that no policy matches (Linux 5.15).
func (c *Conn) Defaults(ctx context.Context) (Defaults, error) {
	d, err := get(ctx, c, GetDefaults(), MsgGetDefault, func(p []byte) (*Defaults, error) {
		return decodeDefaults(MsgGetDefault, p)
	})
	if err != nil {
		return Defaults{}, err
	}
	return *d, nil
}

// SetDefaults sets the default actions. The kernel ignores values that it does
// not know.
func (c *Conn) SetDefaults(ctx context.Context, d Defaults) error { return c.Do(ctx, SetDefaults(&d)) }

// Migrate moves a policy and its SAs to new addresses; errors.ErrUnsupported
// on kernels without CONFIG_XFRM_MIGRATE.
func (c *Conn) Migrate(ctx context.Context, m *Migrate) error { return c.Do(ctx, MigratePolicy(m)) }
