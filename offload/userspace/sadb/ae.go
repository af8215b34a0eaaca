package sadb

import (
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rules"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/sad"
)

// GetAE returns the replay state, counters and, as id's flags ask, thresholds
// of an SA (XFRM_MSG_GETAE); ESRCH when there is none.
func (db *DB) GetAE(id *netlinkx.AEID) (*netlinkx.AE, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	sa := db.named(&id.SA)
	if sa == nil {
		return nil, errno(syscall.ESRCH)
	}
	return sa.AE(id.Flags), nil
}

// SetAE changes what the request has of replay state, counters and thresholds
// (XFRM_MSG_NEWAE). replace is NLM_F_REPLACE, which the kernel insists on.
func (db *DB) SetAE(cause Cause, ae *netlinkx.AE, replace bool) error {
	if ae.Usage == nil && ae.Replay == nil && ae.ReplayESN == nil && !ae.ETimerThresh.Valid && !ae.ReplayThresh.Valid {
		return rules.Refuse(syscall.EINVAL, "Missing required attribute for AE")
	}
	if !replace {
		return rules.Refuse(syscall.EINVAL, "NLM_F_REPLACE flag is required")
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	sa := db.named(&ae.ID.SA)
	switch {
	case sa == nil:
		return errno(syscall.ESRCH)
	case sa.State() != sad.Valid:
		return rules.Refuse(syscall.EINVAL, "SA must be in VALID state")
	}
	if err := rules.CheckReplayUpdate(sa.Conf().ReplayESN, ae); err != nil {
		return err
	}
	return refused(badReplay(sa.SetAE(cause, ae)))
}

// badReplay refuses a replay state that does not fit its SA; nil for nil.
func badReplay(err error) *Refusal {
	if err == nil {
		return nil
	}
	return rules.Refuse(syscall.EINVAL, "ESN attribute is too short")
}
