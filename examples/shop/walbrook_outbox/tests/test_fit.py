"""Our check says of each case what walbrook says."""

import json
import unittest

from walbrook_outbox import avro, fit

from .cases import CASES, REFUSED


def parse(schema):
    found = avro.parse(json.dumps(schema))
    fit.check_defaults(found)
    return found


class FitTest(unittest.TestCase):
    def test_what_fits(self):
        for schema, payloads, _ in CASES:
            for payload in payloads:
                with self.subTest(schema=schema, payload=payload):
                    fit.check(parse(schema), json.dumps(payload))

    def test_what_does_not_fit_is_told_in_walbrooks_words(self):
        for schema, _, misfits in CASES:
            for payload, why in misfits:
                with self.subTest(schema=schema, payload=payload):
                    with self.assertRaises(fit.Misfit) as caught:
                        fit.check(parse(schema), json.dumps(payload))
                    self.assertEqual(str(caught.exception), why)

    def test_schemas_that_are_refused(self):
        for schema in REFUSED:
            with self.subTest(schema=schema), self.assertRaises(avro.SchemaError):
                parse(schema)
        with self.assertRaises(avro.SchemaError):
            avro.parse("{")

    def test_payloads_are_json(self):
        for text in ["", "1 2", "NaN", '{"a": Infinity}']:
            with self.subTest(text=text), self.assertRaises(fit.Misfit):
                fit.check(avro.Type("double"), text)
