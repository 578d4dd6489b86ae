package daemon

import "weir/broker"

// enter finds the way into workloads' network namespaces, if there is one. What needs none works without.
func (d *Daemon) enter() {
	c, err := broker.Connect(broker.Socket)
	switch {
	case err != nil:
		d.log.Warn("workloads' network namespaces cannot be entered", "problem", err.Error())
	case c.Here():
		d.log.Info("workloads' network namespaces are entered by this process")
	default:
		d.log.Info("workloads' network namespaces are entered by the broker", "socket", broker.Socket)
	}
	d.spaces = c
}
