package daemon

import (
	"context"
	"sync"

	"weir/workload"
)

// translated has flows to services' addresses named by the pods behind them, as the host's connection table tells.
func (d *Daemon) translated(ctx context.Context) {
	t := &workload.Translations{}
	var once sync.Once
	missed := func() {
		once.Do(func() {
			d.unnamed("translated connections come faster than they are read: some services' pods have no names")
		})
	}
	if err := workload.WatchTranslations(ctx, t, missed); err != nil {
		d.log.Warn("pods behind services' addresses have no names in events", "problem", err.Error())
		return
	}
	d.translations.Store(t)
	d.engine.SetTranslations(t)
	if g := d.gates.Load(); g != nil {
		g.engine.SetTranslations(t)
	}
}
