package measure

import (
	"fmt"
	"os"
	"runtime"
	"time"
)

// A Machine is a moment in the life of the whole machine. Its zero value
// stands for a system that does not tell.
type Machine struct {
	busy time.Duration
	wall time.Time
}

// clockTick is the unit of /proc/stat on every Linux platform that Go supports.
const clockTick = 10 * time.Millisecond

// MachineNow reads how long the processors have been busy.
func MachineNow() Machine {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return Machine{}
	}
	var user, nice, system, idle, wait, irq, softirq, steal int64
	_, err = fmt.Sscanf(string(data), "cpu %d %d %d %d %d %d %d %d",
		&user, &nice, &system, &idle, &wait, &irq, &softirq, &steal)
	if err != nil {
		return Machine{}
	}
	ticks := user + nice + system + irq + softirq + steal
	return Machine{busy: time.Duration(ticks) * clockTick, wall: time.Now()}
}

// OthersSince returns the share (0…1) of the machine's processors that went to
// anything but us, the CPU time of the processes under test, since earlier. It
// tells how far a run can be trusted; it is zero where the system does not tell.
func (m Machine) OthersSince(earlier Machine, us time.Duration) float64 {
	if m.wall.IsZero() || earlier.wall.IsZero() {
		return 0
	}
	all := m.wall.Sub(earlier.wall) * time.Duration(runtime.NumCPU())
	return max(0, float64(m.busy-earlier.busy-us)/float64(all))
}
