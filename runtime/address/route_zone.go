package address

import (
	"errors"
	"fmt"
	"slices"
)

// ZoneRule keeps calls in the zone Routes.Local.Zone as long as there is enough
// capacity: if h is the usable part of the zone's servers, by weight, then the share
// min(1, h × Overprovision) of the calls stays, and the others go to all other zones in
// proportion to the weight of what is usable there. If the other zones, reckoned
// likewise, cannot take that much either, calls are divided in proportion to what both
// can take. Calls with a route key are divided by key.
//
// With FallbackAll, the default, other zones are used as described. With another
// fallback all calls stay in the zone unless nothing there is usable.
type ZoneRule struct {
	// Overprovision is how many times its usual load a zone can bear,
	// DefaultOverprovision if it is zero, otherwise 1 to 100.
	Overprovision float64 `json:"overprovision,omitempty"`
}

func (z *ZoneRule) validate(local Location) error {
	if err := validateOverprovision(z.Overprovision); err != nil {
		return err
	}
	if local.Zone == "" {
		return errors.New("local: needs Routes.Local.Zone, which is empty")
	}
	return nil
}

func validateOverprovision(f float64) error {
	if f != 0 && !(f >= 1 && f <= 100) {
		return fmt.Errorf("overprovision: is %v, want 1 to 100, or 0 for %v", f, DefaultOverprovision)
	}
	return nil
}

func (z *ZoneRule) divide(in forkInput) division {
	groups := 1
	if in.fallback == FallbackAll {
		groups = 2
	}
	local := in.local
	return newSpill(in, groups, func(e *Endpoint) int {
		// Zones of two regions may have the same name.
		if e.Zone == local.Zone && (e.Region == local.Region || e.Region == "" || local.Region == "") {
			return 0
		}
		return 1
	}, func(usable []float64) ([]float64, bool) { return spread(usable, overprovision(z.Overprovision)) })
}

// RegionRule sends calls to the first of some regions, and to the next ones when that
// one lacks capacity.
type RegionRule struct {
	// Regions are the regions in their order. Empty means Routes.Local.Region.
	Regions []string `json:"regions,omitempty"`
	// Threshold, if it is not zero, moves all calls at once to the next region when the
	// usable part of a region, by weight, falls below it, 0 to 1. Otherwise, and if no region
	// reaches it, only the share moves that the region has no capacity for, as ZoneRule says.
	Threshold float64 `json:"threshold,omitempty"`
	// Overprovision is how many times its usual load a region can bear,
	// DefaultOverprovision if it is zero, otherwise 1 to 100.
	Overprovision float64 `json:"overprovision,omitempty"`
}

const maxRegions = 32

func (g *RegionRule) validate(local Location) error {
	if len(g.Regions) == 0 && local.Region == "" {
		return errors.New("regions: is empty, want the names of regions or Routes.Local.Region")
	}
	if len(g.Regions) > maxRegions {
		return fmt.Errorf("regions: are %d, want at most %d", len(g.Regions), maxRegions)
	}
	for i, name := range g.Regions {
		if name == "" || slices.Index(g.Regions, name) < i {
			return fmt.Errorf("regions[%d]: is %q, want names that are not empty and differ", i, name)
		}
	}
	if !(g.Threshold >= 0 && g.Threshold <= 1) {
		return fmt.Errorf("threshold: is %v, want 0 to 1", g.Threshold)
	}
	return validateOverprovision(g.Overprovision)
}

func (g *RegionRule) divide(in forkInput) division {
	names := g.Regions
	if len(names) == 0 {
		names = []string{in.local.Region}
	}
	groups := len(names)
	if in.fallback == FallbackAll {
		groups++ // the regions that are not listed
	}
	return newSpill(in, groups, func(e *Endpoint) int {
		if i := slices.Index(names, e.Region); i >= 0 {
			return i
		}
		return len(names)
	}, func(usable []float64) ([]float64, bool) {
		factor := overprovision(g.Overprovision)
		if g.Threshold > 0 {
			return cutOver(usable, g.Threshold, factor)
		}
		return spread(usable, factor)
	})
}
