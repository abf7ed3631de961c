// How small a difference this many items can show.
import { Z_95 } from "./interval.ts";

/** The 80% quantile of the normal distribution. */
const Z_POWER_80 = 0.8416212335729143;

/**
 * The smallest true mean difference that a paired two-sided test at 5% finds with 80% power, in the unit of `sd`.
 *
 * `(z_0.975 + z_0.80) * sd / sqrt(n)`, sd the standard deviation of the items' differences. Of 0/1 answers
 * `sd^2 = b/n + c/n - ((b - c)/n)^2`, b and c the items that only one of the two got right.
 * Source: the normal approximation of the paired test; for 0/1, R. J. Connor, Biometrics 43, 1987.
 */
export const detectableDifference = (sd: number, n: number): number => ((Z_95 + Z_POWER_80) * sd) / Math.sqrt(n);
