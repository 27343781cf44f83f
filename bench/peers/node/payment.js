// A payment's request: what is checked, and what is derived from it. No I/O.

import { createHmac } from "node:crypto";

export const EXPONENTS = { EUR: 2, USD: 2, GBP: 2, CHF: 2, JPY: 0, KWD: 3 };
const AMOUNT_MAX = 999_999_999_999;
const ID = /^[A-Za-z0-9._:-]{1,64}$/;
const CARD_NUMBER = /^[0-9]{12,19}$/;

export class Refused extends Error {}

export function read(event, hashKey) {
  const body = event.isBase64Encoded ? Buffer.from(event.body ?? "", "base64").toString() : event.body;
  let request;
  try {
    request = JSON.parse(body);
  } catch (cause) {
    throw new Refused("the body is no JSON", { cause });
  }
  if (request === null || typeof request !== "object" || Array.isArray(request)) {
    throw new Refused("the body is no JSON object");
  }
  const { amount, currency, transactionId, userId, merchantId, description, metadata = {} } = request;
  if (!Number.isSafeInteger(amount) || amount <= 0 || amount > AMOUNT_MAX) {
    throw new Refused("amount is a positive whole number");
  }
  if (!Object.hasOwn(EXPONENTS, currency)) {
    throw new Refused("currency is not taken");
  }
  for (const value of [transactionId, userId]) {
    if (typeof value !== "string" || !ID.test(value)) {
      throw new Refused("transactionId and userId are 1 to 64 letters, digits, . _ : -");
    }
  }
  const now = new Date();
  const number = card(request.paymentMethod, now);
  const canonical = JSON.stringify([transactionId, userId, merchantId, amount, currency, metadata, number]);
  const scope = merchantId ? `m:${merchantId}` : "public";
  const createdAt = now.toISOString();
  return {
    transactionId,
    userId,
    merchantId,
    amount,
    currency,
    description,
    metadata,
    scope,
    createdAt,
    sessionId: `${scope}#${transactionId}`,
    logKey: `transactions/${createdAt.slice(0, 10).replaceAll("-", "/")}/${transactionId}.json`,
    card: { brand: number.startsWith("4") ? "visa" : "other", last4: number.slice(-4) },
    paidWithHash: createHmac("sha256", hashKey).update(number).digest(),
    fingerprint: createHmac("sha256", hashKey).update(canonical).digest(),
  };
}

function card(method, now) {
  if (method?.type !== "card") {
    throw new Refused("paymentMethod is a card");
  }
  const number = String(method.number ?? "").replaceAll(" ", "");
  if (!CARD_NUMBER.test(number) || !luhn(number)) {
    throw new Refused("the card's number is not valid");
  }
  const { expiryMonth: month, expiryYear: year } = method;
  if (!Number.isInteger(month) || !Number.isInteger(year) || month < 1 || month > 12) {
    throw new Refused("the card's expiry is a month and a year");
  }
  if (year * 12 + month < now.getUTCFullYear() * 12 + now.getUTCMonth() + 1) {
    throw new Refused("the card has expired");
  }
  return number;
}

function luhn(number) {
  let total = 0;
  for (let place = 0; place < number.length; place += 1) {
    const value = (number.charCodeAt(number.length - 1 - place) - 48) * (1 + (place % 2));
    total += value > 9 ? value - 9 : value;
  }
  return total % 10 === 0;
}
