package org

var (
	teamNames = []string{
		"payments", "search", "platform", "mobile", "data", "web", "infra", "growth", "checkout", "identity",
		"billing", "catalog", "messaging", "fraud", "logistics", "pricing", "media", "partners", "tooling", "research",
		"security",
	}
	roles = []string{"engineer", "sre", "data", "analyst", "manager"}
	// zones are minutes east of UTC.
	zones      = []int{0, 60, -300, 330, -480}
	firstNames = []string{
		"ada", "alan", "anita", "barbara", "bo", "claude", "dana", "edsger", "emmy", "frances", "grace", "hedy",
		"ines", "jean", "joan", "karen", "ken", "lena", "leslie", "lin", "mary", "niklaus", "olga", "peter", "radia", "sofia",
	}
	lastNames = []string{
		"adler", "bauer", "costa", "dubois", "eriksen", "fischer", "garcia", "haas", "ito", "jansen", "kowalski", "lund",
		"moreau", "novak", "okafor", "patel", "quist", "rossi", "silva", "tanaka", "urban", "vargas", "weber", "xu", "young", "zeman",
	}
)
