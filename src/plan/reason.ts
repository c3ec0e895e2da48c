/** Why a step is taken: what `explain` and `--trace` show beside it. */
export interface Reason {
  /** The JSON pointer into config.json that asks for the step; '' where the runtime itself does. */
  readonly from: string;
  readonly why: string;
}
