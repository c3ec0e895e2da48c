/** Why a step is taken: what `explain` and `--trace` show beside it. */
export interface Reason {
  /** The JSON pointer into config.json that asks for the step; '' where the runtime itself does. */
  readonly from: string;
  readonly why: string;
  /** What an error names beside the step, where its own fields do not say it: the place of a mount. */
  readonly about?: string;
}
