package weir_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"weir/daemon"
	"weir/dlp"
	"weir/rules"
)

// piiKinds are what tables of pii/ call things, as ENTITY or ENTITY:locale, and the built-in rules that stand for it: ids, or their beginnings before a '*'.
// What is not listed has no check digit and no form of its own, as a number plate, or is no number at all, as a name.
var piiKinds = map[string]string{
	"CREDIT_CARD":   "pci.*",
	"IBAN":          "banking.iban*",
	"IBAN_CODE":     "banking.iban*",
	"US_SSN":        "pii.us_ssn*",
	"EMAIL_ADDRESS": "pii.email",
	"IP_ADDRESS":    "pii.ip*",
	"PHONE_NUMBER":  "pii.phone*",

	"ABA_ROUTING_NUMBER": "banking.aba*", "ABA_ROUTING": "banking.aba*", "BIC": "banking.bic*", "CRYPTO": "banking.bitcoin*", "BITCOIN_ADDRESS": "banking.bitcoin*",
	"ETHEREUM_ADDRESS": "banking.ethereum", "IMEI": "pii.imei*",

	"AU_ABN": "pii.au_abn*", "AU_ACN": "pii.au_acn*", "AU_MEDICARE": "phi.au_medicare*", "AU_TFN": "pii.au_tfn*", "CA_SIN": "pii.ca_sin*",
	"MEDICAL_LICENSE": "phi.us_dea*", "DE_HEALTH_INSURANCE": "phi.de_kvnr*", "DE_LANR": "phi.de_lanr*", "DE_PASSPORT": "pii.de_passport*",
	"DE_SOCIAL_SECURITY": "pii.de_rvnr*", "DE_TAX_ID": "pii.de_steuerid*", "DE_VAT_ID": "pii.de_vat*", "ES_NIE": "pii.es_nie*", "ES_NIF": "pii.es_nif*",
	"FI_PERSONAL_IDENTITY_CODE": "pii.fi_hetu*", "IN_AADHAAR": "pii.in_aadhaar*", "IN_GSTIN": "pii.in_gstin*",
	"IT_FISCAL_CODE": "pii.it_codice_fiscale*", "IT_VAT_CODE": "pii.it_partita_iva*", "KR_BRN": "pii.kr_brn*", "KR_FRN": "pii.kr_rrn*", "KR_RRN": "pii.kr_rrn*",
	"PH_TIN": "pii.ph_tin*", "PL_PESEL": "pii.pl_pesel*", "SE_ORGANISATIONSNUMMER": "pii.se_orgnr*", "SE_PERSONNUMMER": "pii.se_personnummer*",
	"SG_NRIC_FIN": "pii.sg_nric*", "SG_UEN": "pii.sg_uen*", "TH_TNIN": "pii.th_id*", "TR_NATIONAL_ID": "pii.tr_tckn*", "UK_NHS": "phi.gb_nhs*",
	"UK_NINO": "pii.gb_nino*", "US_ITIN": "pii.us_itin*", "US_MBI": "phi.us_mbi*", "US_NPI": "phi.us_npi*", "ZA_ID_NUMBER": "pii.za_id*",

	"NATIONAL_ID:ES": "pii.es_ni*", "NATIONAL_ID:FI": "pii.fi_hetu*", "NATIONAL_ID:IN": "pii.in_aadhaar*", "NATIONAL_ID:IR": "pii.ir_melli*",
	"NATIONAL_ID:NO": "pii.no_fnr*", "NATIONAL_ID:PL": "pii.pl_pesel*", "NATIONAL_ID:TH": "pii.th_id*", "NATIONAL_ID:he-IL": "pii.il_id*",
	"NATIONAL_ID:zh-CN": "pii.cn_id*", "NATIONAL_ID:zh-HK": "pii.hk_id*", "NATIONAL_ID:zh-TW": "pii.tw_id*",
	"TAX_ID:bg-BG": "pii.bg_egn*", "TAX_ID:cs-CZ": "pii.cz_rodne_cislo*", "TAX_ID:de-AT": "pii.at_tax*", "TAX_ID:de-DE": "pii.de_steuerid*",
	"TAX_ID:dk-DK": "pii.dk_cpr*", "TAX_ID:el-CY": "pii.cy_tic*", "TAX_ID:el-GR": "pii.gr_afm*", "TAX_ID:en-CA": "pii.ca_sin*", "TAX_ID:en-IE": "pii.ie_pps*",
	"TAX_ID:es-AR": "pii.ar_cuit*", "TAX_ID:es-ES": "pii.es_ni*", "TAX_ID:et-EE": "pii.ee_lt_isikukood*", "TAX_ID:lt-LT": "pii.ee_lt_isikukood*",
	"TAX_ID:fi-FI": "pii.fi_hetu*", "TAX_ID:fr-FR": "pii.fr_spi*", "TAX_ID:fr-LU": "pii.lu_matricule*", "TAX_ID:hr-HR": "pii.hr_oib*",
	"TAX_ID:hu-HU": "pii.hu_adoazonosito*", "TAX_ID:it-IT": "pii.it_codice_fiscale*", "TAX_ID:lv-LV": "pii.lv_personas_kods*", "TAX_ID:nl-BE": "pii.be_nn*",
	"TAX_ID:nl-NL": "pii.nl_bsn*", "TAX_ID:pl-PL": "pii.pl_*", "TAX_ID:pt-BR": "pii.br_*", "TAX_ID:pt-PT": "pii.pt_nif*", "TAX_ID:ro-RO": "pii.ro_cnp*",
	"TAX_ID:sl-SI": "pii.si_davcna*", "TAX_ID:sv-SE": "pii.se_*", "TAX_ID:uk-UA": "pii.ua_rnokpp*", "VAT_ID:AU": "pii.au_abn*", "VAT_ID:CH": "pii.ch_uid*",
}

// piiTables are the kinds that are scored by themselves; all others are national identifiers.
var piiTables = map[string]string{
	"CREDIT_CARD": "card", "IBAN": "iban", "IBAN_CODE": "iban", "US_SSN": "ssn", "EMAIL_ADDRESS": "email", "IP_ADDRESS": "ip", "PHONE_NUMBER": "phone",
	"ABA_ROUTING_NUMBER": "accounts", "ABA_ROUTING": "accounts", "BIC": "accounts", "CRYPTO": "accounts", "BITCOIN_ADDRESS": "accounts", "ETHEREUM_ADDRESS": "accounts",
	"IMEI": "accounts",
}

// piiKind names what an item is about: telephone numbers have entities by country, and those of one file none.
func piiKind(entity string, locale any, file string) string {
	if file == "test_phone_recognizer.py" || entity == "PH_MOBILE_NUMBER" || entity == "TR_PHONE_NUMBER" {
		return "PHONE_NUMBER"
	}
	if l, ok := locale.(string); ok && piiKinds[entity+":"+l] != "" {
		return entity + ":" + l
	}
	return entity
}

// piiScan returns the ids of the rules that find something in a text that is a message by itself.
func piiScan(t *testing.T) func(text string) []string {
	t.Helper()
	set, problems := daemon.LoadRules([]string{rules.Wide}, true)
	if problems.Failed() {
		t.Fatal(problems.Err())
	}
	db, err := dlp.Compile(set, dlp.Options{FingerprintKey: make([]byte, 32), Files: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	s, err := db.NewScanner()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Free)
	return func(text string) (ids []string) {
		for _, h := range s.ScanBytes([]byte(text), nil) {
			if !h.Unsure {
				ids = append(ids, h.Rule.ID)
			}
		}
		return ids
	}
}

func piiFound(kind string, ids []string) bool {
	want, any := strings.CutSuffix(piiKinds[kind], "*")
	return slices.ContainsFunc(ids, func(id string) bool { return id == want || any && strings.HasPrefix(id, want) })
}

// TestConformancePII: numbers and addresses of persons, one by one, as the tests of two validators and recognisers have them; and that what is
// none is not taken for one.
func TestConformancePII(t *testing.T) {
	scan := piiScan(t)
	type tally struct{ found, positives, right, hits int }
	tables := map[string]*tally{}
	eachLine(t, corpus(t)+"/pii/cases.jsonl", func(line []byte) {
		var c struct {
			ID, Entity, Text string
			File             string `json:"test_file"`
			Locale           any
			Valid            *bool
			Count            int
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		kind := piiKind(c.Entity, c.Locale, c.File)
		if piiKinds[kind] == "" {
			return
		}
		name := piiTables[kind]
		if name == "" {
			name = "ids"
		}
		n := tables[name]
		if n == nil {
			n = &tally{}
			tables[name] = n
		}
		must, found := c.Count > 0 || c.Valid != nil && *c.Valid, piiFound(kind, scan(c.Text))
		if must {
			n.positives++
		}
		if found {
			n.hits++
		}
		if must && found {
			n.found++
			n.right++
		}
		if must != found {
			t.Logf("found %v: %s as %s", found, c.ID, kind)
		}
	})
	for name, n := range tables {
		score(t, "pii_"+name, n.found, n.positives)
		score(t, "pii_"+name+"_right", n.right, n.hits)
	}
}

// TestConformancePIISentences: what is labelled in sentences is found where it is.
func TestConformancePIISentences(t *testing.T) {
	scan := piiScan(t)
	met, all := map[string]int{}, map[string]int{}
	eachLine(t, corpus(t)+"/pii/sentences.jsonl", func(line []byte) {
		var c struct {
			ID, Text string
			Spans    []struct{ Entity string }
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		ids := scan(c.Text)
		for _, s := range c.Spans {
			name := piiTables[s.Entity]
			if name == "" {
				continue
			}
			all[name]++
			if piiFound(s.Entity, ids) {
				met[name]++
			} else {
				t.Logf("not found: %s as %s", c.ID, s.Entity)
			}
		}
	})
	for name := range all {
		score(t, "pii_sentences_"+name, met[name], all[name])
	}
}
