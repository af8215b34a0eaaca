package netlinkx

import (
	"context"
	"errors"
	"fmt"
)

// answered reports whether the kernel answers r with an object instead of an
// acknowledgement.
func (r Request) answered() bool {
	switch r.typ {
	case MsgGetSA, MsgGetPolicy, MsgAllocSPI, MsgGetSADInfo, MsgGetSPDInfo, MsgGetDefault, MsgGetAE:
		return true
	}
	return false
}

// get sends a request that is answered and decodes the answer.
func get[T any](ctx context.Context, c *Conn, r Request, want MsgType, dec func(p []byte) (T, error)) (v T, err error) {
	a, err := c.ask(ctx, r)
	if err != nil {
		return v, err
	}
	if a == nil || a.typ != want {
		return v, fmt.Errorf("%s %s: answer is no %s message", r.Op(), r.Object(), want)
	}
	if v, err = dec(a.payload); err != nil {
		return v, fmt.Errorf("%s %s: %w", r.Op(), r.Object(), err)
	}
	return v, nil
}

// AddSA adds an SA. One with the same destination, SPI, protocol, family and
// an overlapping mark fails with fs.ErrExist; the error names it.
func (c *Conn) AddSA(ctx context.Context, sa *SA) error { return c.Do(ctx, AddSA(sa)) }

// UpdateSA completes a larval SA (of AllocSPI or an acquire) with everything in
// sa. Of an installed SA the kernel takes over only the limits, encapsulation
// ports, care-of address, and output mark and if_id when they are not zero;
// it ignores the rest and reports success: read back what matters.
func (c *Conn) UpdateSA(ctx context.Context, sa *SA) error { return c.Do(ctx, UpdateSA(sa)) }

// DeleteSA deletes an SA; fs.ErrNotExist when there is none.
func (c *Conn) DeleteSA(ctx context.Context, id SAID) error { return c.Do(ctx, DeleteSA(&id)) }

// GetSA reads an SA, keys included; fs.ErrNotExist when there is none.
func (c *Conn) GetSA(ctx context.Context, id SAID) (*SA, error) {
	return get(ctx, c, GetSA(&id), MsgNewSA, func(p []byte) (*SA, error) { return decodeSA(MsgNewSA, p, SizeSAInfo) })
}

// AllocSPI reserves an SPI and returns the larval SA that holds it. It lives
// for net.core.xfrm_acq_expires seconds. fs.ErrNotExist means that the range is
// used up.
func (c *Conn) AllocSPI(ctx context.Context, r *SPIRange) (*SA, error) {
	return get(ctx, c, AllocSPI(r), MsgNewSA, func(p []byte) (*SA, error) { return decodeSA(MsgNewSA, p, SizeSAInfo) })
}

// FlushSAs deletes every SA of a protocol, 0 for all protocols, whoever made it.
func (c *Conn) FlushSAs(ctx context.Context, p Proto) error { return c.Do(ctx, FlushSAs(p)) }

// SADInfo returns the number of SAs and the size of their hash table.
func (c *Conn) SADInfo(ctx context.Context) (SADInfo, error) {
	i, err := get(ctx, c, GetSADInfo(), MsgNewSADInfo, decodeSADInfo)
	if err != nil {
		return SADInfo{}, err
	}
	return *i, nil
}

// GetAE reads the replay state, counters and (as id.Flags asks) the thresholds
// of an SA.
func (c *Conn) GetAE(ctx context.Context, id AEID) (*AE, error) {
	return get(ctx, c, GetAE(&id), MsgNewAE, func(p []byte) (*AE, error) { return decodeAE(MsgNewAE, p) })
}

// SetAE sets what is present in a: replay state, counters, thresholds.
func (c *Conn) SetAE(ctx context.Context, a *AE) error { return c.Do(ctx, SetAE(a)) }

// MigrateState moves one SA to new addresses (Linux 7.2); errors.ErrUnsupported
// on kernels without CONFIG_XFRM_MIGRATE.
func (c *Conn) MigrateState(ctx context.Context, m *MigrateState) error {
	return c.Do(ctx, MigrateSA(m))
}

// nameHolder adds to an EEXIST which object is in the way.
func (c *Conn) nameHolder(ctx context.Context, r Request, e *Error) {
	switch o := r.body.(type) {
	case *SA:
		held, err := c.holderSA(ctx, o)
		if err == nil {
			e.Hint = joinHint(fmt.Sprintf("held by %s", describeSA(held)), e.Hint)
		}
	case *Policy:
		id := o.ID()
		id.Index, id.Selector = 0, o.Selector
		held, err := c.GetPolicy(ctx, id)
		if err == nil {
			e.Hint = joinHint(fmt.Sprintf("held by policy index %d priority %d", held.Index, held.Priority), e.Hint)
		}
	}
}

// holderSA finds the SA that occupies sa's place: one that matches its mark,
// or one without a mark.
func (c *Conn) holderSA(ctx context.Context, sa *SA) (*SA, error) {
	id := sa.ID()
	held, err := c.GetSA(ctx, id)
	var e *Error
	if errors.As(err, &e) && id.Mark != (Mark{}) {
		id.Mark = Mark{}
		held, err = c.GetSA(ctx, id)
	}
	return held, err
}

// describeSA tells an SA from others with the same identity, without keys.
func describeSA(sa *SA) string {
	s := fmt.Sprintf("%s from %s, reqid %d, mode %s", sa, addrText(sa.Src), sa.ReqID, sa.Mode)
	if sa.IfID != 0 {
		s += fmt.Sprintf(", if_id %#x", sa.IfID)
	}
	if sa.AEAD == nil && sa.Crypt == nil && sa.Auth == nil && sa.AuthTrunc == nil && sa.Comp == nil {
		s += ", larval (complete it with update)"
	}
	return s
}

// joinHint puts a before b.
func joinHint(a, b string) string {
	if b == "" {
		return a
	}
	return a + "; " + b
}
